import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { kindOf } from '../../../src/address/address-kind.ts';
import { isBroadcast, isLinkLocal, isLoopback, isMulticast, isUnspecified } from '../../../src/address/ip-address.ts';
import { ip } from '../server/guard/fixtures.ts';

test.each([
  ['0.0.0.0', 'unspecified'],
  ['0.0.0.1', 'reserved'],
  ['1.0.0.0', 'global'],
  ['9.255.255.255', 'global'],
  ['10.0.0.0', 'private'],
  ['10.255.255.255', 'private'],
  ['11.0.0.0', 'global'],
  ['100.63.255.255', 'global'],
  ['100.64.0.0', 'shared'],
  ['100.127.255.255', 'shared'],
  ['100.128.0.0', 'global'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.255', 'loopback'],
  ['169.254.1.1', 'link-local'],
  ['172.15.255.255', 'global'],
  ['172.16.0.0', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.0', 'global'],
  ['192.0.0.8', 'reserved'],
  ['192.0.0.9', 'global'],
  ['192.0.0.10', 'global'],
  ['192.0.0.170', 'reserved'],
  ['192.0.1.0', 'global'],
  ['192.0.2.1', 'documentation'],
  ['192.168.1.1', 'private'],
  ['198.18.0.0', 'benchmarking'],
  ['198.19.255.255', 'benchmarking'],
  ['198.20.0.0', 'global'],
  ['198.51.100.1', 'documentation'],
  ['203.0.113.1', 'documentation'],
  ['223.255.255.255', 'global'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.0', 'reserved'],
  ['255.255.255.254', 'reserved'],
  ['255.255.255.255', 'broadcast'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::2', 'reserved'],
  ['::1.2.3.4', 'reserved'],
  ['::ffff:10.0.0.1', 'private'],
  ['64:ff9b::192.0.2.1', 'translation'],
  ['64:ff9b:1::1', 'translation'],
  ['100::1', 'reserved'],
  ['2001::1', 'global'],
  ['2001:1::1', 'global'],
  ['2001:1::4', 'reserved'],
  ['2001:2::1', 'benchmarking'],
  ['2001:2:1::', 'reserved'],
  ['2001:20::1', 'global'],
  ['2001:1ff::', 'reserved'],
  ['2001:200::', 'global'],
  ['2001:db8::1', 'documentation'],
  ['2001:db9::', 'global'],
  ['2002:102:304::', 'global'],
  ['2606:4700::1111', 'global'],
  ['3fff::1', 'documentation'],
  ['3fff:1000::', 'global'],
  ['4000::', 'reserved'],
  ['5f00::1', 'reserved'],
  ['fbff::', 'reserved'],
  ['fc00::1', 'unique local'],
  ['fdff::1', 'unique local'],
  ['fe00::', 'reserved'],
  ['fe80::1', 'link-local'],
  ['febf::1', 'link-local'],
  ['fec0::1', 'reserved'],
  ['ff02::1', 'multicast'],
])('%s is %s', (text, kind) => {
  expect(kindOf(ip(text))).toBe(kind);
});

test('kindOf agrees with the address predicates', () => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  const head = fc.oneof(word, fc.constantFrom(0, 0xfe800000, 0xff020000));
  const ipv4 = fc.record({ w0: fc.constant(0), w1: fc.constant(0), w2: fc.constant(0xffff), w3: word });
  const few = fc.constantFrom(0, 1);
  const ipv6 = fc.record({ w0: head, w1: fc.oneof(few, word), w2: few, w3: fc.oneof(few, word) });
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), (address) => {
      const kind = kindOf(address);
      expect(kind === 'unspecified').toBe(isUnspecified(address));
      expect(kind === 'loopback').toBe(isLoopback(address));
      expect(kind === 'link-local').toBe(isLinkLocal(address));
      expect(kind === 'multicast').toBe(isMulticast(address));
      expect(kind === 'broadcast').toBe(isBroadcast(address));
    }),
    { numRuns: 2000 },
  );
});
