import type { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { isBroadcastAddress } from '../../../../src/client/dial/broadcast-address.ts';

function interfaces(...networks: readonly (readonly [address: string, netmask: string])[]) {
  const common = { family: 'IPv4', mac: '', internal: false, cidr: null } as const;
  const each = networks.map(([address, netmask]) => ({ ...common, address, netmask }));
  return (): ReturnType<typeof networkInterfaces> => ({ eth0: each });
}

function unreadable(): never {
  throw new Error('no netlink');
}

const own = interfaces(['192.0.2.70', '255.255.255.192'], ['198.51.100.1', '255.255.255.254']);

test.each([
  ['255.255.255.255', true],
  ['192.0.2.127', true],
  ['192.0.2.126', false],
  ['192.0.2.255', false],
  ['198.51.100.1', false],
  ['ff02::1', false],
])('%s is a broadcast address: %s', (address, expected) => {
  expect(isBroadcastAddress(address, own)).toBe(expected);
});

test('without a list of interfaces, 255.255.255.255 is the only one', () => {
  expect(isBroadcastAddress('255.255.255.255', unreadable)).toBe(true);
  expect(isBroadcastAddress('192.0.2.127', unreadable)).toBe(false);
});
