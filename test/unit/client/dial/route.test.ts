import { describe, expect, it } from 'vitest';
import type { HostAddress } from '../../../../src/client/dial/resolve-host.ts';
import { firstWithRoute } from '../../../../src/client/dial/route.ts';

const loopback: HostAddress = { address: '127.0.0.1', family: 'ipv4' };
/** The broadcast address of loopback: without SO_BROADCAST the system refuses it, whatever networks there are. */
const refused: HostAddress = { address: '127.255.255.255', family: 'ipv4' };

describe('firstWithRoute', () => {
  it('returns the first address if all have a route', async () => {
    const other: HostAddress = { address: '127.0.0.2', family: 'ipv4' };
    expect(await firstWithRoute('a.example', [loopback, other])).toEqual(loopback);
  });

  it('skips addresses without a route', async () => {
    expect(await firstWithRoute('a.example', [refused, loopback])).toEqual(loopback);
  });

  it('returns loopback for the unspecified address', async () => {
    expect(await firstWithRoute('0.0.0.0', [{ address: '0.0.0.0', family: 'ipv4' }])).toEqual(loopback);
  });

  it('names the host if no address has a route', async () => {
    await expect(firstWithRoute('a.example', [refused, refused])).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: 'cannot reach a.example: not permitted (a firewall on this machine?)',
    });
  });
});
