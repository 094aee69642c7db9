import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../../../src/address/ip-address.ts';
import { readDatagramHeader } from '../../../../src/server/guard/proxy-header.ts';
import { datagramHeader, type HeaderParts, proxied } from '../../../support/proxy-datagram.ts';

type Client = readonly [ip: string, port: number] | undefined;

/** What a datagram starts with; a header as its client and its length. */
function read(datagram: Uint8Array): 'none' | 'malformed' | { readonly client: Client; readonly length: number } {
  const header = readDatagramHeader(datagram);
  if (typeof header === 'string') return header;
  const { client, length } = header;
  return { client: client === undefined ? undefined : [formatIp(client.ip), client.port], length };
}

const text = Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 40000 7\r\n');

describe('the header of a datagram', () => {
  it.each<[string, Buffer, Client]>([
    ['UDP over IPv4', datagramHeader('192.0.2.7', 40_000), ['192.0.2.7', 40_000]],
    ['UDP over IPv6', datagramHeader('2001:db8::7', 65_535), ['2001:db8::7', 65_535]],
    ['an IPv4-mapped address', datagramHeader('::ffff:c000:207', 1), ['192.0.2.7', 1]],
    ['TLVs', datagramHeader('192.0.2.7', 1, { tlvs: Buffer.alloc(2000, 0xe0) }), ['192.0.2.7', 1]],
    ['LOCAL', datagramHeader('192.0.2.7', 1, { command: 0x20 }), undefined],
    ['LOCAL with an unassigned family', datagramHeader('192.0.2.7', 1, { command: 0x20, family: 0xff }), undefined],
    ['UNSPEC', datagramHeader('192.0.2.7', 1, { family: 0x00 }), undefined],
    ['TCP over IPv4', datagramHeader('192.0.2.7', 1, { family: 0x11 }), undefined],
    ['TCP over IPv6', datagramHeader('2001:db8::7', 1, { family: 0x21 }), undefined],
    ['UNIX datagram', datagramHeader('192.0.2.7', 1, { family: 0x32, tlvs: Buffer.alloc(204) }), undefined],
  ])('is read: %s', (_, header, client) => {
    expect(read(header)).toEqual({ client, length: header.length });
    expect(read(Buffer.concat([header, header]))).toEqual({ client, length: header.length });
  });

  it.each<[string, Buffer]>([
    ['another version', datagramHeader('192.0.2.7', 1, { command: 0x11 })],
    ['an unassigned command', datagramHeader('192.0.2.7', 1, { command: 0x22 })],
    ['an unassigned family', datagramHeader('192.0.2.7', 1, { family: 0x42 })],
    ['an unassigned transport', datagramHeader('192.0.2.7', 1, { family: 0x13 })],
    ['too short for the addresses of IPv6', datagramHeader('192.0.2.7', 1, { family: 0x22 })],
  ])('is malformed: %s', (_, header) => {
    expect(read(Buffer.concat([header, Buffer.alloc(300)]))).toBe('malformed');
  });

  it('is not there in version 1, which is for streams', () => {
    expect(read(text)).toBe('none');
  });

  it('is malformed if the datagram ends before it, and not there before its signature is complete', () => {
    for (const header of [datagramHeader('192.0.2.7', 1, { tlvs: text }), datagramHeader('2001:db8::7', 1)])
      for (let length = 0; length < header.length; length += 1)
        expect(read(header.subarray(0, length))).toBe(length < 12 ? 'none' : 'malformed');
  });

  it('never throws, and never reaches beyond the datagram, whatever the bytes', () => {
    const parts: fc.Arbitrary<HeaderParts> = fc.record(
      { command: fc.nat(255), family: fc.nat(255), tlvs: fc.uint8Array({ maxLength: 300 }) },
      { requiredKeys: [] },
    );
    const datagram = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), parts, fc.uint8Array({ maxLength: 300 }), fc.nat(700))
        .map(([client, port, header, payload, length]) => proxied(client, port, payload, header).subarray(0, length)),
      fc
        .tuple(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 4, maxLength: 4 }))
        .map(([rest, start]) => Buffer.concat([datagramHeader('192.0.2.7', 1).subarray(0, 12), start, rest])),
    );
    fc.assert(
      fc.property(datagram, (bytes) => {
        const answer = read(bytes);
        if (typeof answer === 'string') return;
        const declared = 16 + Buffer.from(bytes).readUInt16BE(14);
        expect(answer.length).toBe(declared);
        expect(answer.length).toBeLessThanOrEqual(bytes.length);
        if (answer.client !== undefined) expect([0x12, 0x22]).toContain(bytes[13]);
      }),
      { numRuns: 2000 },
    );
  });
});
