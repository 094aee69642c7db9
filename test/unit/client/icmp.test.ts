import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp } from '../../../src/address/ip-address.ts';
import { checksum, decodeIcmp, encodeEchoRequest } from '../../../src/client/icmp.ts';
import { icmpMessage, packet4, packet6, referenceChecksum, replyTo } from '../../support/icmp-packets.ts';

const word = fc.integer({ min: 0, max: 0xffff });
const data = fc.uint8Array({ maxLength: 300 });
const request = fc.record({ identifier: word, sequence: word, data });

const asked = { identifier: 0x1234, sequence: 0x00ff, data: Buffer.from('what is asked') };
const request4 = encodeEchoRequest('ipv4', asked);
const request6 = encodeEchoRequest('ipv6', asked);
const numbers = { identifier: asked.identifier, sequence: asked.sequence };

describe('checksum', () => {
  it('matches the example in RFC 1071', () => {
    // Section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
    expect(checksum(Buffer.from('0001f203f4f5f6f7', 'hex'))).toBe(0xffff - 0xddf2);
  });

  it.each([
    ['', 0xffff],
    ['ff', 0x00ff],
    ['ffff', 0],
    ['ffffffff', 0],
    ['0800f7fd0001', 0x0001],
  ])('matches the known value for "%s"', (hex, expected) => {
    expect(checksum(Buffer.from(hex, 'hex'))).toBe(expected);
  });

  it('matches the reference for even and odd lengths', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(checksum(bytes)).toBe(referenceChecksum(bytes));
      }),
    );
  });

  it.each([65_535, 65_534])('matches the reference for %d bytes of nearly all ones', (length) => {
    const bytes = Buffer.alloc(length, 0xff);
    bytes[0] = 0xfe;
    expect(checksum(bytes)).toBe(referenceChecksum(bytes));
  });

  it('does not depend on the offset in the buffer', () => {
    fc.assert(
      fc.property(data, fc.integer({ min: 0, max: 3 }), (bytes, offset) => {
        const buffer = new Uint8Array(bytes.length + 4).fill(0xa5);
        buffer.set(bytes, offset);
        expect(checksum(buffer.subarray(offset, offset + bytes.length))).toBe(referenceChecksum(bytes));
      }),
    );
  });
});

describe('encodeEchoRequest', () => {
  it('encodes the request as in RFC 792, byte for byte', () => {
    const bytes = encodeEchoRequest('ipv4', { identifier: 0x0102, sequence: 0x0304, data: Buffer.from('abc') });
    expect(Buffer.from(bytes).toString('hex')).toBe('08002f9701020304616263');
  });

  it('leaves the ICMPv6 checksum to the kernel', () => {
    const bytes = encodeEchoRequest('ipv6', { identifier: 0x0102, sequence: 0x0304, data: Buffer.from('abc') });
    expect(Buffer.from(bytes).toString('hex')).toBe('8000000001020304616263');
  });

  it('sets a valid checksum', () => {
    fc.assert(fc.property(request, (each) => referenceChecksum(encodeEchoRequest('ipv4', each)) === 0));
  });
});

describe('a reply', () => {
  it('decodes to the request, whatever its IP options', () => {
    fc.assert(
      fc.property(
        request,
        fc.integer({ min: 5, max: 15 }),
        fc.integer({ min: 1, max: 255 }),
        (each, headerWords, ttl) => {
          const packet = packet4(replyTo(4, encodeEchoRequest('ipv4', each)), { headerWords, ttl });
          expect(decodeIcmp('ipv4', packet)).toEqual({ kind: 'reply', ...copied(each), ttl, isIntact: true });
        },
      ),
    );
  });

  it('decodes to the request over IPv6, without an IP header', () => {
    fc.assert(
      fc.property(request, (each) => {
        const message = replyTo(6, encodeEchoRequest('ipv6', each));
        expect(decodeIcmp('ipv6', message)).toEqual({ kind: 'reply', ...copied(each), ttl: undefined, isIntact: true });
      }),
    );
  });

  it('over IPv4 is never intact after a bit flip', () => {
    fc.assert(
      fc.property(request, fc.nat(), (each, chosen) => {
        const message = replyTo(4, encodeEchoRequest('ipv4', each));
        const bit = chosen % (message.length * 8);
        message[bit >>> 3]! ^= 1 << (bit & 7);
        const decoded = decodeIcmp('ipv4', packet4(message));
        expect(decoded).not.toMatchObject({ isIntact: true });
        expect(decoded?.kind).not.toBe('error');
      }),
    );
  });

  it('over IPv6 decodes differently after a bit flip outside the checksum, which the kernel verifies', () => {
    fc.assert(
      fc.property(request, fc.nat(), (each, chosen) => {
        const message = replyTo(6, encodeEchoRequest('ipv6', each));
        const before = decodeIcmp('ipv6', Buffer.from(message));
        const bit = chosen % ((message.length - 2) * 8);
        const at = bit >>> 3;
        message[at < 2 ? at : at + 2]! ^= 1 << (bit & 7);
        expect(decodeIcmp('ipv6', message)).not.toEqual(before);
      }),
    );
  });

  it('is ignored if its code is not 0', () => {
    expect(decodeIcmp('ipv4', packet4(icmpMessage(0, 1, 0, Buffer.alloc(8))))).toBeUndefined();
  });
});

describe('an error', () => {
  it.each([
    [3, 0, 0, 'Destination Net Unreachable', 'unreachable'],
    [3, 1, 0, 'Destination Host Unreachable', 'unreachable'],
    [3, 3, 0, 'Destination Port Unreachable', 'refused'],
    [3, 4, 1400, 'Frag needed and DF set (mtu = 1400)', 'too-big'],
    [3, 10, 0, 'Destination Host Prohibited', 'prohibited'],
    [3, 13, 0, 'Packet filtered', 'prohibited'],
    [3, 15, 0, 'Precedence Cutoff', 'prohibited'],
    [3, 16, 0, 'Destination Unreachable, code 16', 'unreachable'],
    [11, 0, 0, 'Time to live exceeded', 'unreachable'],
    [11, 1, 0, 'Frag reassembly time exceeded', 'unreachable'],
    [12, 0, 20 * 2 ** 24, 'Parameter problem: pointer = 20', 'unreachable'],
  ])('of type %d, code %d identifies the request', (type, code, rest, reason, outcome) => {
    const error = icmpMessage(type, code, rest, packet4(request4, { destination: '192.0.2.9' }));
    const destination = parseIp('192.0.2.9');
    expect(decodeIcmp('ipv4', packet4(error))).toEqual({ kind: 'error', reason, outcome, destination, ...numbers });
  });

  it.each([
    [1, 0, 0, 'Destination unreachable: No route', 'unreachable'],
    [1, 1, 0, 'Destination unreachable: Administratively prohibited', 'prohibited'],
    [1, 3, 0, 'Destination unreachable: Address unreachable', 'unreachable'],
    [1, 4, 0, 'Destination unreachable: Port unreachable', 'refused'],
    [1, 6, 0, 'Destination unreachable: Reject route', 'prohibited'],
    [1, 9, 0, 'Destination unreachable: code 9', 'unreachable'],
    [2, 0, 1280, 'Packet too big: mtu=1280', 'too-big'],
    [3, 0, 0, 'Time exceeded: Hop limit', 'unreachable'],
    [3, 1, 0, 'Time exceeded: Defragmentation failure', 'unreachable'],
    [4, 1, 6, 'Parameter problem: Unknown header at 6', 'unreachable'],
    [4, 7, 6, 'Parameter problem: code 7 at 6', 'unreachable'],
  ])('of ICMPv6 type %d, code %d identifies the request', (type, code, rest, reason, outcome) => {
    const error = icmpMessage(type, code, rest, packet6(request6, { destination: '2001:db8::9' }));
    const destination = parseIp('2001:db8::9');
    expect(decodeIcmp('ipv6', error)).toEqual({ kind: 'error', reason, outcome, destination, ...numbers });
  });

  it('needs only the first 8 bytes of the request, as RFC 792 guarantees', () => {
    const start = request4.subarray(0, 8);
    const quoted = packet4(start, { headerWords: 7 });
    expect(decodeIcmp('ipv4', packet4(icmpMessage(11, 0, 0, quoted), { headerWords: 6 }))).toMatchObject(numbers);
    expect(decodeIcmp('ipv4', packet4(icmpMessage(11, 0, 0, quoted.subarray(0, -1))))).toBeUndefined();
    expect(decodeIcmp('ipv6', icmpMessage(3, 0, 0, packet6(start)))).toBeUndefined();
    expect(decodeIcmp('ipv6', icmpMessage(3, 0, 0, packet6(request6.subarray(0, 8))))).toMatchObject(numbers);
    expect(decodeIcmp('ipv6', icmpMessage(3, 0, 0, packet6(request6.subarray(0, 7))))).toBeUndefined();
  });

  it('is decoded if it quotes a first fragment and ignored if it quotes a later fragment', () => {
    const first = packet4(request4, { fragmentOffset: 0x2000 });
    expect(decodeIcmp('ipv4', packet4(icmpMessage(11, 1, 0, first)))).toMatchObject(numbers);
    const later = packet4(request4, { fragmentOffset: 185 });
    expect(decodeIcmp('ipv4', packet4(icmpMessage(11, 1, 0, later)))).toBeUndefined();
    expect(decodeIcmp('ipv6', icmpMessage(3, 1, 0, packet6(request6, { fragmentOffset: 0 })))).toMatchObject(numbers);
    expect(decodeIcmp('ipv6', icmpMessage(3, 1, 0, packet6(request6, { fragmentOffset: 181 })))).toBeUndefined();
  });

  it.each([
    ['with a wrong checksum', icmpMessage(3, 1, 0, packet4(request4), 0x1111)],
    ['about UDP', icmpMessage(3, 3, 0, packet4(request4, { protocol: 17 }))],
    ['about an echo reply', icmpMessage(3, 1, 0, packet4(replyTo(4, request4)))],
    ['that does not quote an IPv4 packet', icmpMessage(3, 1, 0, packet6(request4))],
    ['that is a redirect', icmpMessage(5, 1, 0, packet4(request4))],
    ['that is actually an echo request', request4],
  ])('%s is ignored', (_name, message) => {
    expect(decodeIcmp('ipv4', packet4(message))).toBeUndefined();
  });

  it.each([
    ['about UDP', icmpMessage(1, 4, 0, packet6(request6, { nextHeader: 17 }))],
    ['about an echo reply', icmpMessage(1, 3, 0, packet6(replyTo(6, request6)))],
    ['that does not quote an IPv6 packet', icmpMessage(1, 3, 0, packet4(request6, { headerWords: 10 }))],
    ['that is a neighbor advertisement', icmpMessage(136, 0, 0, packet6(request6))],
    ['that is actually an echo request', Buffer.from(request6)],
  ])('over ICMPv6 %s is ignored', (_name, message) => {
    expect(decodeIcmp('ipv6', message)).toBeUndefined();
  });
});

describe('a packet', () => {
  it.each([
    ['is not IPv4', Buffer.concat([Buffer.alloc(20), replyTo(4, request4)])],
    ['has a header of 16 bytes', packet4(replyTo(4, request4), { headerWords: 4 })],
    ['ends within its header', packet4(Buffer.alloc(0)).subarray(0, 19)],
    ['ends within its options', packet4(Buffer.alloc(0), { headerWords: 15 }).subarray(0, 40)],
    ['ends within the ICMP header', packet4(replyTo(4, request4).subarray(0, 7))],
    ['is empty', Buffer.alloc(0)],
  ])('that %s is ignored', (_name, packet) => {
    expect(decodeIcmp('ipv4', packet)).toBeUndefined();
  });

  it('never makes decodeIcmp throw or return an out-of-range number', () => {
    const first = fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0, 1, 3, 129);
    const bytes = fc
      .tuple(first, fc.uint8Array({ maxLength: 120 }))
      .map(([head, rest]) => Buffer.from([head, ...rest]));
    fc.assert(
      fc.property(fc.constantFrom('ipv4' as const, 'ipv6' as const), bytes, (version, packet) => {
        const decoded = decodeIcmp(version, packet);
        expect(decoded === undefined || (decoded.identifier <= 0xffff && decoded.sequence <= 0xffff)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

/** `data` as a Buffer, as `toEqual` wants it. */
function copied(each: { identifier: number; sequence: number; data: Uint8Array }): object {
  return { ...each, data: Buffer.from(each.data) };
}
