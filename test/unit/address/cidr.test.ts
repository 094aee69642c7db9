import { BlockList } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cidrContains, formatCidr, parseCidr, prefixOf, readCidr } from '../../../src/address/cidr.ts';
import { formatIp, type IpAddress, isIpv4 } from '../../../src/address/ip-address.ts';
import { cidr, ip } from '../server/guard/fixtures.ts';

const words = fc.integer({ min: 0, max: 0xffffffff });
const ipv4 = words.map((w3): IpAddress => ({ w0: 0, w1: 0, w2: 0xffff, w3 }));
const ipv6 = fc
  .record({ w0: words, w1: words, w2: words, w3: words })
  .map((address): IpAddress => ({ ...address, w0: (address.w0 | 0x20000000) >>> 0 }));

/** An address, a prefix in the IPv6 space, and another address that shares the first `shared` bits. */
function neighbours(family: fc.Arbitrary<IpAddress>, shortest: number) {
  return fc
    .tuple(
      family,
      family,
      fc.integer({ min: shortest, max: 128 }),
      fc.integer({ min: 0, max: 2 }),
      fc.integer({ min: shortest, max: 128 }),
    )
    .map(([base, other, prefix, near, far]) => {
      // Around the prefix is where mistakes are.
      const shared = near === 0 ? far : Math.min(prefix + near - 1, 128);
      const head = prefixOf(base, shared);
      const tail = prefixOf(other, shared);
      const probe = {
        w0: (head.w0 | (other.w0 ^ tail.w0)) >>> 0,
        w1: (head.w1 | (other.w1 ^ tail.w1)) >>> 0,
        w2: (head.w2 | (other.w2 ^ tail.w2)) >>> 0,
        w3: (head.w3 | (other.w3 ^ tail.w3)) >>> 0,
      };
      return { network: prefixOf(base, prefix), prefix, probe };
    });
}

describe('readCidr', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0', 104],
    ['0.0.0.0/0', '0.0.0.0', 96],
    ['10.1.2.3', '10.1.2.3', 128],
    ['10.1.2.3/32', '10.1.2.3', 128],
    ['fc00::/7', 'fc00::', 7],
    ['::/0', '::', 0],
    ['::1', '::1', 128],
    ['::ffff:10.0.0.0/104', '10.0.0.0', 104],
  ])('reads %s', (text, network, prefix) => {
    expect(readCidr(text)).toEqual({ network: ip(network), prefix });
  });

  it.each(['10.0.0.1/8', '0.0.0.1/0', '10.0.0.128/24', 'fc00::1/7', '::1/0', '::ffff:1.2.3.4/24'])(
    'refuses a network with host bits set: %s',
    (text) => {
      expect(readCidr(text)).toBe('host-bits');
      expect(parseCidr(text)).toBeUndefined();
    },
  );

  it.each([
    '',
    '/',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '10.0.0.0/ 8',
    '10.0.0.0/8/8',
    '10/8',
    '10.0.0.0/255.0.0.0',
    '::/129',
    '::/-1',
    '::/1e1',
    '[::]/0',
    'localhost/8',
  ])('refuses a malformed block: "%s"', (text) => {
    expect(readCidr(text)).toBe('malformed');
    expect(parseCidr(text)).toBeUndefined();
  });
});

describe('a block with a zone', () => {
  it.each(['fe80::1%eth0', 'fe80::%eth0/64', 'fe80::%1/10'])('is refused: %s', (text) => {
    expect(readCidr(text)).toBe('zone');
    expect(parseCidr(text)).toBeUndefined();
  });
});

describe('formatCidr', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['::1', '::1/128'],
    ['FC00:0::/7', 'fc00::/7'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
  ])('writes %s as %s', (text, written) => {
    expect(formatCidr(cidr(text))).toBe(written);
  });

  it('round-trips through parseCidr', () => {
    fc.assert(
      fc.property(fc.oneof(neighbours(ipv4, 96), neighbours(ipv6, 0)), ({ network, prefix }) => {
        expect(parseCidr(formatCidr({ network, prefix }))).toEqual({ network, prefix });
      }),
    );
  });
});

describe('cidrContains', () => {
  it.each([
    ['an IPv4 block contains its addresses', '10.0.0.0/8', '10.255.255.255', true],
    ['an IPv4 block contains no other address', '10.0.0.0/8', '11.0.0.0', false],
    ['an IPv4 block contains mapped addresses', '10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['0.0.0.0/0 contains every IPv4 address', '0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0 contains no IPv6 address', '0.0.0.0/0', '::1', false],
    ['::/0 contains every IPv6 address', '::/0', 'ffff::1', true],
    ['::/0 contains no IPv4 address', '::/0', '1.2.3.4', false],
    ['::/80 contains no IPv4 address', '::/80', '1.2.3.4', false],
    ['::/96 contains no IPv4 address', '::/96', '1.2.3.4', false],
    ['a bare address contains itself', '192.0.2.1', '192.0.2.1', true],
    ['a bare address contains no other address', '192.0.2.1', '192.0.2.2', false],
    ['an IPv6 block may end within a word', '2001:db8::/33', '2001:db8:8000::', false],
  ])('%s', (_rule, block, address, held) => {
    expect(cidrContains(cidr(block), ip(address))).toBe(held);
  });

  it.each([
    ['ipv4', neighbours(ipv4, 96), 96],
    ['ipv6', neighbours(ipv6, 0), 0],
  ] as const)('agrees with net.BlockList: %s', (family, cases, base) => {
    fc.assert(
      fc.property(cases, ({ network, prefix, probe }) => {
        const list = new BlockList();
        list.addSubnet(formatIp(network), prefix - base, family);
        expect(cidrContains({ network, prefix }, probe)).toBe(list.check(formatIp(probe), family));
      }),
      { numRuns: 2000 },
    );
  });

  it('never matches an address of the other family', () => {
    fc.assert(
      fc.property(neighbours(ipv4, 96), neighbours(ipv6, 0), ipv4, ipv6, (block4, block6, address4, address6) => {
        expect(isIpv4(address4)).toBe(true);
        expect(cidrContains(block6, address4)).toBe(false);
        expect(cidrContains(block4, address6)).toBe(false);
      }),
    );
  });
});

describe('prefixOf', () => {
  it.each([
    ['192.0.2.255', 120, '192.0.2.0'],
    ['192.0.2.255', 128, '192.0.2.255'],
    ['255.255.255.255', 97, '128.0.0.0'],
    ['2001:db8:1:2ff:3::4', 56, '2001:db8:1:200::'],
    ['ffff::', 0, '::'],
    ['ffff:ffff:ffff::', 32, 'ffff:ffff::'],
  ])('cuts %s to %d bits: %s', (address, prefix, result) => {
    expect(prefixOf(ip(address), prefix)).toEqual(ip(result));
  });
});
