import { describe, expect, test } from 'vitest';
import { lookupCanonicalName, lookupHost } from '../../../src/client/lookup-host.ts';
import { resolve } from '../../../src/client/resolve.ts';

/** RFC 6761 section 6.4: no name server knows names below it. */
const nowhere = 'nowhere.invalid';

describe('lookupHost', () => {
  test.each([
    ['127.0.0.1', { address: '127.0.0.1', family: 'ipv4' }],
    ['[0:0:0:0:0:0:0:1]', { address: '::1', family: 'ipv6' }],
    ['2001:DB8::0001', { address: '2001:db8::1', family: 'ipv6' }],
    ['::ffff:127.0.0.1', { address: '::ffff:127.0.0.1', family: 'ipv6' }],
  ])('normalizes the address %s', async (host, address) => {
    expect(await lookupHost(host)).toEqual([address]);
  });

  test('resolves localhost to loopback addresses', async () => {
    const addresses = (await lookupHost('localhost')).map(({ address }) => address);
    expect(addresses).toContain('127.0.0.1');
    expect(['127.0.0.1', '::1']).toEqual(expect.arrayContaining(addresses));
  });

  test.each(['localhost:7', '', 'a b'])('rejects host %j', async (host) => {
    await expect(lookupHost(host)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', exitCode: 64 });
  });

  test('reports a name without an address as not found', async () => {
    await expect(lookupHost(nowhere)).rejects.toMatchObject({ code: 'HOST_NOT_FOUND', exitCode: 2 });
  });

  test('is interrupted by the signal', async () => {
    const signal = AbortSignal.abort();
    await expect(lookupHost(nowhere, { signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('resolve', () => {
  test('returns an address of the requested family', async () => {
    expect(await resolve('localhost', { family: 'ipv4' })).toEqual({ address: '127.0.0.1', family: 'ipv4' });
    expect(await resolve('[::1]', { family: 'ipv6' })).toEqual({ address: '::1', family: 'ipv6' });
    await expect(resolve('127.0.0.1', { family: 'ipv6' })).rejects.toMatchObject({
      code: 'HOST_NOT_FOUND',
      message: '127.0.0.1 is an IPv4 address: expected an IPv6 address or a name',
    });
  });

  test('returns the first address that lookupHost returns', async () => {
    expect(await resolve('localhost')).toEqual((await lookupHost('localhost'))[0]);
  });
});

describe('lookupCanonicalName', () => {
  test('resolves localhost without a name server', async () => {
    expect(await lookupCanonicalName('localhost')).toBe('localhost.');
  });

  test.each(['127.0.0.1', '[::1]'])('rejects the address %s', async (host) => {
    await expect(lookupCanonicalName(host)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  test('reports a name without an address as not found', async () => {
    await expect(lookupCanonicalName(nowhere)).rejects.toMatchObject({ code: 'HOST_NOT_FOUND' });
  });
});
