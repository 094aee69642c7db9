import { isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatIp,
  formatIpv6,
  isBroadcast,
  isIpv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isPrivate,
  isReserved,
  isUnspecified,
  parseIp,
} from '../../../src/address/ip-address.ts';
import { ip } from '../server/guard/fixtures.ts';

const words = fc.integer({ min: 0, max: 0xffffffff });
const fewWords = fc.oneof(fc.constantFrom(0, 1, 0xffff, 0x10000), words);
const addresses = fc.record({ w0: fewWords, w1: fewWords, w2: fewWords, w3: fewWords });

describe('parseIp', () => {
  it.each([
    ['0.0.0.0', [0, 0, 0xffff, 0]],
    ['1.2.3.4', [0, 0, 0xffff, 0x01020304]],
    ['255.255.255.255', [0, 0, 0xffff, 0xffffffff]],
    ['::', [0, 0, 0, 0]],
    ['::1', [0, 0, 0, 1]],
    ['1::', [0x10000, 0, 0, 0]],
    ['2001:db8::8:800:200c:417a', [0x20010db8, 0, 0x00080800, 0x200c417a]],
    ['FF01::101', [0xff010000, 0, 0, 0x101]],
    ['1:2:3:4:5:6:7:8', [0x10002, 0x30004, 0x50006, 0x70008]],
    ['1:2:3:4:5:6:7::', [0x10002, 0x30004, 0x50006, 0x70000]],
    ['::2:3:4:5:6:7:8', [0x2, 0x30004, 0x50006, 0x70008]],
    ['::13.1.68.3', [0, 0, 0, 0x0d014403]],
    ['::ffff:129.144.52.38', [0, 0, 0xffff, 0x81903426]],
    ['::ffff:8190:3426', [0, 0, 0xffff, 0x81903426]],
    ['64:ff9b::192.0.2.33', [0x0064ff9b, 0, 0, 0xc0000221]],
    ['1:2:3:4:5:6:1.2.3.4', [0x10002, 0x30004, 0x50006, 0x01020304]],
    ['fe80::1%eth0', [0xfe800000, 0, 0, 1]],
  ])('reads %s (RFC 4291 section 2.2)', (text, [w0, w1, w2, w3]) => {
    expect(parseIp(text)).toEqual({ w0, w1, w2, w3 });
  });

  it.each([
    ['nothing', ''],
    ['a name', 'localhost'],
    ['three numbers', '1.2.3'],
    ['five numbers', '1.2.3.4.5'],
    ['a missing number', '1..3.4'],
    ['a dot at the end', '1.2.3.4.'],
    ['a number above 255', '1.2.3.256'],
    ['a leading zero', '1.2.3.04'],
    ['two zeros', '00.2.3.4'],
    ['hexadecimal', '0x1.2.3.4'],
    ['a sign', '+1.2.3.4'],
    ['a space', ' 1.2.3.4'],
    ['a zone on IPv4', '1.2.3.4%eth0'],
    ['a port', '1.2.3.4:7'],
    ['brackets', '[::1]'],
    ['one colon', ':'],
    ['three colons', ':::'],
    ['a colon at the start', ':1:2:3:4:5:6:7'],
    ['a colon at the end', '1:2:3:4:5:6:7:'],
    ['two gaps', '1::2::3'],
    ['seven groups', '1:2:3:4:5:6:7'],
    ['nine groups', '1:2:3:4:5:6:7:8:9'],
    ['a gap of zero groups', '1:2:3:4::5:6:7:8'],
    ['eight groups and a gap', '1:2:3:4:5:6:7:8::'],
    ['five digits', '::12345'],
    ['a letter past f', '::g'],
    ['a bad embedded IPv4', '::ffff:1.2.3'],
    ['a leading zero in an embedded IPv4', '::ffff:1.2.3.04'],
    ['an embedded IPv4 before the end', '::1.2.3.4:5'],
    ['an embedded IPv4 past eight groups', '1:2:3:4:5:6:7:1.2.3.4'],
    ['an empty zone', 'fe80::1%'],
    ['only a zone', '%eth0'],
  ])('refuses %s: "%s"', (_what, text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  it('accepts exactly what net.isIP accepts', () => {
    const valid = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('fe80::1%eth0', '::ffff:1.2.3.4', '::'));
    const character = fc.constantFrom(...'0 1 2 3 4 5 6 7 8 9 a b c f F : . % g'.split(' '), ' ');
    const changed = fc
      .tuple(valid, fc.nat(40), fc.nat(2), fc.string({ unit: character, maxLength: 2 }))
      .map(([text, at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut))
      // What a zone may look like is the system's affair.
      .filter((text) => !/%.*[% ]/.test(text));
    const anything = fc.string({ unit: character, maxLength: 12 }).filter((text) => !text.includes('%'));
    fc.assert(
      fc.property(fc.oneof(valid, changed, anything), (text) => {
        const address = parseIp(text);
        expect(address !== undefined, text).toBe(isIP(text) !== 0);
      }),
      { numRuns: 5000 },
    );
  });

  it('reads the same address as the URL parser', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const written = formatIp(ip(text));
        const bracketed = written.includes(':') ? `[${written}]` : `[::ffff:${written}]`;
        expect(new URL(`http://${bracketed}`).hostname).toBe(new URL(`http://[${text}]`).hostname);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('formatIp', () => {
  it.each([
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:ffff:ffff', '255.255.255.255'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['::1.2.3.4', '::102:304'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('writes %s as %s (RFC 5952)', (text, written) => {
    expect(formatIp(ip(text))).toBe(written);
  });

  it('round-trips through parseIp', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(parseIp(formatIp(address))).toEqual(address);
      }),
    );
  });
});

describe('address predicates', () => {
  it.each([
    ['isIpv4', isIpv4, ['0.0.0.0', '::ffff:1.2.3.4'], ['::', '::1.2.3.4', '1::ffff:1.2.3.4', '::fffe:1.2.3.4']],
    ['isUnspecified', isUnspecified, ['0.0.0.0', '::'], ['0.0.0.1', '::1', '1::', '::1:0:0']],
    ['isLoopback', isLoopback, ['127.0.0.0', '127.255.255.255', '::1'], ['126.255.255.255', '128.0.0.0', '::', '1::1']],
    [
      'isPrivate',
      isPrivate,
      [
        '10.0.0.0',
        '10.255.255.255',
        '172.16.0.0',
        '172.31.255.255',
        '192.168.0.0',
        '192.168.255.255',
        '100.64.0.0',
        '100.127.255.255',
        'fc00::',
        'fdff:ffff::1',
      ],
      [
        '9.255.255.255',
        '11.0.0.0',
        '172.15.255.255',
        '172.32.0.0',
        '192.167.255.255',
        '192.169.0.0',
        '100.63.255.255',
        '100.128.0.0',
        'fbff::',
        'fe00::',
      ],
    ],
    [
      'isLinkLocal',
      isLinkLocal,
      ['169.254.0.0', '169.254.255.255', 'fe80::', 'febf:ffff::1'],
      ['169.253.255.255', '169.255.0.0', 'fe7f::', 'fec0::'],
    ],
    [
      'isMulticast',
      isMulticast,
      ['224.0.0.0', '239.255.255.255', 'ff00::', 'ff02::1'],
      ['223.255.255.255', '240.0.0.0', 'feff::'],
    ],
    ['isReserved', isReserved, ['240.0.0.0', '255.255.255.254'], ['239.255.255.255', '255.255.255.255', 'f000::']],
    ['isBroadcast', isBroadcast, ['255.255.255.255'], ['255.255.255.254', '::ffff:ffff', '10.0.0.255']],
  ] as const)('%s', (_name, is, members, others) => {
    expect(members.filter((text) => !is(ip(text)))).toEqual([]);
    expect(others.filter((text) => is(ip(text)))).toEqual([]);
  });
});

describe('formatIpv6', () => {
  it.each([
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['::ffff:102:304', '::ffff:1.2.3.4'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::1.2.3.4', '::102:304'],
  ])('writes %s as %s', (text, written) => {
    expect(formatIpv6(ip(text))).toBe(written);
  });
});
