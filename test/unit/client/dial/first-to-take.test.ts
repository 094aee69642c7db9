import { expect, it } from 'vitest';
import { firstToTake } from '../../../../src/client/dial/first-to-take.ts';
import type { HostAddress } from '../../../../src/client/dial/resolve-host.ts';
import { SmallservdError } from '../../../../src/errors.ts';

const addresses: readonly HostAddress[] = [
  { address: '2001:db8::1', family: 'ipv6' },
  { address: '2001:db8::2', family: 'ipv6' },
  { address: '192.0.2.1', family: 'ipv4' },
];

function refusing(by: Readonly<Record<string, string>>, tried: string[]): (address: HostAddress) => Promise<string> {
  return async ({ address }) => {
    tried.push(address);
    const code = by[address];
    if (code === undefined) return address;
    throw new SmallservdError(code as 'CONNECT_FAILED', `${address} does not`);
  };
}

it('returns the result of the first address that does not refuse, alternating families', async () => {
  const tried: string[] = [];
  const refuses = { '2001:db8::1': 'CONNECT_FAILED', '192.0.2.1': 'CONNECT_FAILED' };
  expect(await firstToTake(addresses, refusing(refuses, tried))).toBe('2001:db8::2');
  expect(tried).toEqual(['2001:db8::1', '192.0.2.1', '2001:db8::2']);
});

it('throws the first refusal if all addresses refuse', async () => {
  const all = Object.fromEntries(addresses.map(({ address }) => [address, 'CONNECT_FAILED']));
  await expect(firstToTake(addresses, refusing(all, []))).rejects.toMatchObject({
    code: 'CONNECT_FAILED',
    message: '2001:db8::1 does not',
  });
});

it('stops at any other error', async () => {
  const tried: string[] = [];
  const refuses = { '2001:db8::1': 'INTERRUPTED' };
  await expect(firstToTake(addresses, refusing(refuses, tried))).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(tried).toEqual(['2001:db8::1']);
});
