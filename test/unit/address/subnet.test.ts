import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cidrContains } from '../../../src/address/cidr.ts';
import type { IpAddress } from '../../../src/address/ip-address.ts';
import { type AddressBits, classfulPrefix, prefixOfMask, subnetOf } from '../../../src/address/subnet.ts';
import { ip } from '../server/guard/fixtures.ts';

const word = fc.integer({ min: 0, max: 0xffffffff });
const ipv4 = fc.record({
  address: word.map((w3): IpAddress => ({ w0: 0, w1: 0, w2: 0xffff, w3 })),
  bits: fc.constant<AddressBits>(32),
  prefix: fc.integer({ min: 0, max: 32 }),
});
const ipv6 = fc.record({
  address: fc.record({ w0: word.map((w0) => (w0 | 0x20000000) >>> 0), w1: word, w2: word, w3: word }),
  bits: fc.constant<AddressBits>(128),
  prefix: fc.integer({ min: 3, max: 128 }),
});

const or = (one: number, other: number): number => (one | other) >>> 0;

describe('subnetOf', () => {
  test('splits the address into network and host part', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), ({ address, prefix, bits }) => {
        const { network, hostPart, mask } = subnetOf(address, prefix, bits);
        expect({
          w0: or(network.w0, hostPart.w0),
          w1: or(network.w1, hostPart.w1),
          w2: or(network.w2, hostPart.w2),
          w3: or(network.w3, hostPart.w3),
        }).toEqual(address);
        expect((address.w3 & mask.w3) >>> 0).toBe(network.w3);
        expect(prefixOfMask(mask, bits)).toBe(prefix);
      }),
    );
  });

  test('contains first host, last host and broadcast, and counts the hosts', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), ({ address, prefix, bits }) => {
        const { network, broadcast, firstHost, lastHost, hosts } = subnetOf(address, prefix, bits);
        const block = { network, prefix: prefix + 128 - bits };
        for (const each of [firstHost, lastHost, broadcast ?? network]) expect(cidrContains(block, each)).toBe(true);
        const size = 2n ** BigInt(bits - prefix);
        const kept = size <= 2n ? 0n : bits === 32 ? 2n : 1n;
        expect(hosts).toBe(size - kept);
        expect(broadcast !== undefined).toBe(bits === 32 && prefix < 31);
      }),
    );
  });
});

describe('prefixOfMask', () => {
  test('refuses a mask with one flipped bit, unless the result is a mask', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 32 }), fc.integer({ min: 0, max: 31 }), (prefix, flipped) => {
        const mask = subnetOf(ip('0.0.0.0'), prefix, 32).mask;
        const broken = { ...mask, w3: (mask.w3 ^ (1 << (31 - flipped))) >>> 0 };
        // At its edge a mask becomes the next one.
        const expected = flipped === prefix ? prefix + 1 : flipped === prefix - 1 ? prefix - 1 : undefined;
        expect(prefixOfMask(broken, 32)).toBe(expected);
      }),
    );
  });
});

test.each([
  ['0.0.0.0', 'A', 8],
  ['127.255.255.255', 'A', 8],
  ['128.0.0.0', 'B', 16],
  ['191.255.255.255', 'B', 16],
  ['192.0.0.0', 'C', 24],
  ['223.255.255.255', 'C', 24],
])('%s is of class %s, with a prefix of %d', (address, name, prefix) => {
  expect(classfulPrefix(ip(address))).toEqual({ class: name, prefix });
});

test.each(['224.0.0.0', '239.255.255.255', '240.0.0.0', '255.255.255.255'])('%s has no default mask', (address) => {
  expect(classfulPrefix(ip(address))).toBeUndefined();
});
