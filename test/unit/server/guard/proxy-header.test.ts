import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp, formatIpv6, type IpAddress, parseIp } from '../../../../src/address/ip-address.ts';
import { ProxyHeaderParser } from '../../../../src/server/guard/proxy-header.ts';

type Client = readonly [ip: string, port: number] | undefined;

/** What a parser makes of chunks: its last answer, after how many bytes it came, and what it leaves to the client. */
interface Reading {
  readonly answer: 'more' | 'malformed' | { readonly client: Client; readonly length: number };
  readonly taken: number;
  readonly rest: string;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

function readChunks(chunks: readonly Uint8Array[]): Reading {
  const parser = new ProxyHeaderParser();
  let taken = 0;
  for (const [index, chunk] of chunks.entries()) {
    const answer = parser.push(chunk);
    taken += chunk.length;
    if (answer === 'malformed') return { answer, taken, rest: '' };
    if (answer !== 'more') {
      const { client, length, rest } = answer;
      const named = client === undefined ? undefined : ([formatIp(client.ip), client.port] as const);
      const later = chunks.slice(index + 1).map(latin1);
      return { answer: { client: named, length }, taken, rest: [latin1(rest), ...later].join('') };
    }
  }
  return { answer: 'more', taken, rest: '' };
}

/** Reads one byte at a time, and holds that no other way of cutting gives another answer. */
function readBytes(text: string): Reading {
  const single = readChunks(Array.from(text, bytesOf));
  expect(readChunks([bytesOf(text)]).answer).toEqual(single.answer);
  return single;
}

const signature = '\r\n\r\n\0\r\nQUIT\n';

/** A header of version 2; `length` may lie. */
function binary(command: number, family: number, following: string, length = following.length): string {
  return signature + String.fromCharCode(command, family, length >>> 8, length & 0xff) + following;
}

function uint16(value: number): string {
  return String.fromCharCode(value >>> 8, value & 0xff);
}

function wordsOf({ w0, w1, w2, w3 }: IpAddress): string {
  return [w0, w1, w2, w3].map((word) => uint16(word >>> 16) + uint16(word & 0xffff)).join('');
}

function inet(source: string, sourcePort: number, destination: string, destinationPort: number): string {
  const quads = [source, destination].map((quad) => String.fromCharCode(...quad.split('.').map(Number)));
  return quads.join('') + uint16(sourcePort) + uint16(destinationPort);
}

function inet6(source: IpAddress, sourcePort: number, destination: IpAddress, destinationPort: number): string {
  return wordsOf(source) + wordsOf(destination) + uint16(sourcePort) + uint16(destinationPort);
}

function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

function tlv(type: number, value: string): string {
  return String.fromCharCode(type) + uint16(value.length) + value;
}

const longest6 = 'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255';
const full6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';

describe('version 1', () => {
  it.each<[string, Client]>([
    ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n', ['192.168.0.1', 56324]],
    ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n', ['255.255.255.255', 65535]],
    ['PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n', ['0.0.0.0', 0]],
    [`PROXY TCP6 ${full6} ${full6} 65535 65535\r\n`, [full6, 65535]],
    ['PROXY TCP6 :: ::1 1 2\r\n', ['::', 1]],
    ['PROXY TCP6 2001:DB8:0:0::00a1 2001:db8:: 40000 7\r\n', ['2001:db8::a1', 40000]],
    ['PROXY TCP6 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1 2\r\n', ['1:2:3:4:5:6:7:0', 1]],
    ['PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.8 1 2\r\n', ['192.0.2.7', 1]],
    ['PROXY TCP6 ::ffff:c000:207 ::1 1 2\r\n', ['192.0.2.7', 1]],
    ['PROXY TCP6 64:ff9b::192.0.2.7 ::1 1 2\r\n', ['64:ff9b::c000:207', 1]],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN \r\n', undefined],
    [`PROXY UNKNOWN ${full6} ${full6} 65535 65535\r\n`, undefined],
    ['PROXY UNKNOWN what\0ever \x1b[31m\xff it says\r\n', undefined],
    // The longest line, with addresses in their longest form.
    [`PROXY TCP6 ${longest6} ${longest6.slice(0, -1)} 0 0\r\n`, ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 0]],
  ])('reads %j', (header, client) => {
    expect(readBytes(header)).toEqual({ answer: { client, length: header.length }, taken: header.length, rest: '' });
  });

  // The last byte of each is the one that shows it.
  it.each([
    'G',
    'p',
    ' ',
    '\n',
    '\0',
    'PROXy',
    'PROXY\r',
    'PROXY\n',
    'PROXYT',
    'PROXY  ',
    'PROXY \r',
    'PROXY t',
    'PROXY TCP ',
    'PROXY TCP5',
    'PROXY UD',
    'PROXY TCP4\r',
    'PROXY TCP4  ',
    'PROXY TCP4 256',
    'PROXY TCP4 01',
    'PROXY TCP4 00',
    'PROXY TCP4 1..',
    'PROXY TCP4 .',
    'PROXY TCP4 -',
    'PROXY TCP4 +',
    'PROXY TCP4 a',
    'PROXY TCP4 :',
    'PROXY TCP4 1.2.3 ',
    'PROXY TCP4 1.2.3.4.',
    'PROXY TCP4 1.2.3.4\t',
    'PROXY TCP4 1.2.3.4\r',
    'PROXY TCP4 1.2.3.4  ',
    'PROXY TCP4 1.2.3.4 :',
    'PROXY TCP4 1.2.3.4 5.6.7.8\r',
    'PROXY TCP4 1.2.3.4 5.6.7.8  ',
    'PROXY TCP4 1.2.3.4 5.6.7.8 \r',
    'PROXY TCP4 1.2.3.4 5.6.7.8 -',
    'PROXY TCP4 1.2.3.4 5.6.7.8 +',
    'PROXY TCP4 1.2.3.4 5.6.7.8 x',
    'PROXY TCP4 1.2.3.4 5.6.7.8 00',
    'PROXY TCP4 1.2.3.4 5.6.7.8 01',
    'PROXY TCP4 1.2.3.4 5.6.7.8 0x',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1e',
    'PROXY TCP4 1.2.3.4 5.6.7.8 65536',
    'PROXY TCP4 1.2.3.4 5.6.7.8 100000',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1\r',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1  ',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 \r',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 65536',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 02',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 ',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rG',
    'PROXY TCP6 1.',
    'PROXY TCP6 1 ',
    'PROXY TCP6 [',
    'PROXY TCP6 g',
    'PROXY TCP6 :1',
    'PROXY TCP6 :::',
    'PROXY TCP6 1:::',
    'PROXY TCP6 1::2::',
    'PROXY TCP6 00001',
    'PROXY TCP6 1:2:3:4:5:6:7 ',
    'PROXY TCP6 1:2:3:4:5:6:7:8:',
    'PROXY TCP6 1:2:3:4:5:6:7::8',
    'PROXY TCP6 1::2:3:4:5:6:7:',
    'PROXY TCP6 1:2:3:4:5:6:7:1.',
    'PROXY TCP6 1:2:3:4:5:1.',
    'PROXY TCP6 ::256.',
    'PROXY TCP6 ::01.',
    'PROXY TCP6 ::a.',
    'PROXY TCP6 ::1.2.3.4:',
    'PROXY TCP6 fe80::1%',
    'PROXY TCP6 ::1 1.',
    'PROXY TCP6 ::1 ::%',
    'PROXY UNKNOWNX',
    'PROXY UNKNOWN\n',
    'PROXY UNKNOWN\r\r',
    'PROXY UNKNOWN ::1\n',
    'PROXY UNKNOWN \r ',
    // 106 bytes, of which the last would have to be the CR.
    `PROXY UNKNOWN ${'x'.repeat(92)}`,
    // Too long however it goes on.
    `PROXY TCP6 ${longest6} ${longest6}`,
    `PROXY TCP6 ${longest6} ${longest6.slice(0, -1)} 12`,
    `PROXY TCP6 ${longest6} ${longest6.slice(0, -1)} 1 23`,
  ])('rejects %j at its last byte', (text) => {
    expect(readBytes(text)).toMatchObject({ answer: 'malformed', taken: text.length });
  });
});

describe('version 2', () => {
  const ipv4 = inet('192.0.2.7', 56324, '198.51.100.1', 443);
  const ipv6 = inet6(ip('2001:db8::7'), 40000, ip('::1'), 7);
  const unix = '/run/client'.padEnd(108, '\0') + '/run/server'.padEnd(108, '\0');
  const tlvs = tlv(0x02, 'example.com') + tlv(0x04, '') + tlv(0xe0, '\r\n'.repeat(700));

  it.each<[string, string, Client]>([
    ['TCP over IPv4', binary(0x21, 0x11, ipv4), ['192.0.2.7', 56324]],
    ['TCP over IPv4 with TLVs', binary(0x21, 0x11, ipv4 + tlvs), ['192.0.2.7', 56324]],
    ['TCP over IPv6', binary(0x21, 0x21, ipv6), ['2001:db8::7', 40000]],
    ['TCP over IPv6 with TLVs', binary(0x21, 0x21, ipv6 + tlvs), ['2001:db8::7', 40000]],
    ['an IPv4-mapped address', binary(0x21, 0x21, inet6(ip('::ffff:192.0.2.7'), 1, ip('::1'), 7)), ['192.0.2.7', 1]],
    ['addresses and ports with all bits set', binary(0x21, 0x21, '\xff'.repeat(36)), [full6, 65535]],
    ['the maximum length', binary(0x21, 0x11, ipv4.padEnd(0xffff, 'x')), ['192.0.2.7', 56324]],
    ['trailing bytes that are not a TLV', binary(0x21, 0x11, `${ipv4}x`), ['192.0.2.7', 56324]],
    ['UDP over IPv4', binary(0x21, 0x12, ipv4), undefined],
    ['UDP over IPv6', binary(0x21, 0x22, ipv6), undefined],
    ['UNIX stream', binary(0x21, 0x31, unix), undefined],
    ['UNIX stream with TLVs', binary(0x21, 0x31, unix + tlvs), undefined],
    ['UNIX datagram', binary(0x21, 0x32, unix), undefined],
    ['UNSPEC', binary(0x21, 0x00, ''), undefined],
    ['UNSPEC with TLVs', binary(0x21, 0x00, tlvs), undefined],
    ['LOCAL', binary(0x20, 0x00, ''), undefined],
    ['LOCAL with TLVs', binary(0x20, 0x00, tlvs), undefined],
    ['LOCAL with addresses', binary(0x20, 0x11, ipv4), undefined],
    ['LOCAL with a length too short for its family', binary(0x20, 0x21, 'x'), undefined],
    ['LOCAL with an unassigned family', binary(0x20, 0xff, 'x'), undefined],
  ])('reads %s', (_, header, client) => {
    expect(readBytes(header)).toEqual({ answer: { client, length: header.length }, taken: header.length, rest: '' });
  });

  it.each(Array.from(signature, (_, at) => at))('rejects a wrong signature at byte %i', (at) => {
    for (const byte of ['\x0b', 'P', '\xff']) {
      const text = signature.slice(0, at) + byte;
      // A first P begins version 1.
      const answer = text === 'P' ? 'more' : 'malformed';
      expect(readBytes(text)).toMatchObject({ answer, taken: text.length });
    }
  });

  it('accepts only assigned commands and families', () => {
    const families = new Set([0x00, 0x01, 0x02, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x30, 0x31, 0x32]);
    for (let command = 0; command < 256; command++) {
      const beginning = binary(command, 0, '').slice(0, 13);
      const isCommand = command === 0x20 || command === 0x21;
      expect(readChunks([bytesOf(beginning)]).answer).toBe(isCommand ? 'more' : 'malformed');
      if (!isCommand) continue;
      for (let family = 0; family < 256; family++) {
        const isValid = command === 0x20 || families.has(family);
        const text = beginning + String.fromCharCode(family);
        expect(readChunks([bytesOf(text)]).answer).toBe(isValid ? 'more' : 'malformed');
        const { answer } = readChunks([bytesOf(binary(command, family, 'x'.repeat(216)))]);
        expect(typeof answer).toBe(isValid ? 'object' : 'string');
      }
    }
  });

  it.each([
    [0x0, 0],
    [0x1, 12],
    [0x2, 36],
    [0x3, 216],
  ])('rejects a length too short for the addresses of family %i', (family, needed) => {
    for (let length = 0; length < 220; length++) {
      for (const transport of [0, 1, 2]) {
        const text = binary(0x21, (family << 4) | transport, 'x'.repeat(length));
        const expected = length < needed ? { answer: 'malformed', taken: 16 } : { answer: { length: 16 + length } };
        expect(readBytes(text)).toMatchObject(expected);
      }
    }
  });
});

describe('ProxyHeaderParser', () => {
  it('returns the bytes after the header as a view of the chunk', () => {
    const header = 'PROXY UNKNOWN\r\n';
    const chunk = bytesOf(`${header}\r\nPROXY UNKNOWN\r\n`);
    const answer = new ProxyHeaderParser().push(chunk);
    if (typeof answer === 'string') throw new Error(answer);
    expect(latin1(answer.rest)).toBe('\r\nPROXY UNKNOWN\r\n');
    expect(answer.rest.buffer).toBe(chunk.buffer);
  });

  it('does not depend on earlier chunks staying unchanged', () => {
    const parser = new ProxyHeaderParser();
    const first = bytesOf('PROXY TCP4 192.0.2.7 198.51.');
    expect(parser.push(first)).toBe('more');
    first.fill(0);
    expect(parser.push(bytesOf('100.1 40000 7\r\n'))).toMatchObject({ client: { ip: ip('192.0.2.7'), port: 40000 } });
  });

  it.each(['PROXY UNKNOWN\r\n', 'x', binary(0x20, 0, '')])('throws when pushed to after the end: %j', (text) => {
    const parser = new ProxyHeaderParser();
    expect(parser.push(bytesOf(text))).not.toBe('more');
    expect(() => parser.push(new Uint8Array())).toThrow(/ended/);
  });
});

/** The words of a language and the beginnings of its words, as sources of regular expressions. */
interface Language {
  readonly word: string;
  readonly beginning: string;
}

/** A language in which each beginning of a word is empty or a word. */
function closed(word: string): Language {
  return { word: `(?:${word})`, beginning: `(?:${word})?` };
}

function literal(text: string): Language {
  return sequence(...Array.from(text, (byte) => closed(`\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)));
}

function sequence(...parts: readonly Language[]): Language {
  const beginning = parts.reduceRight((later, part) => `(?:${part.beginning}|${part.word}${later})`, '');
  return { word: parts.map(({ word }) => word).join(''), beginning };
}

function either(...parts: readonly Language[]): Language {
  const words = parts.map((part) => part.word).join('|');
  const beginnings = parts.map((part) => part.beginning).join('|');
  return { word: `(?:${words})`, beginning: `(?:${beginnings})` };
}

function times(count: number, part: Language): readonly Language[] {
  return Array.from({ length: count }, () => part);
}

/** The specification's grammar of version 1; of addresses, RFC 3986's (section 3.2.2). */
function grammar(): Language {
  const port = closed('0|[1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d\\d|655[0-2]\\d|6553[0-5]');
  const octet = closed('25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d');
  const quad = sequence(octet, literal('.'), octet, literal('.'), octet, literal('.'), octet);
  const group = closed('[0-9a-fA-F]{1,4}');
  const groupBefore = sequence(group, literal(':'));
  const last32 = either(sequence(group, literal(':'), group), quad);
  const endings = [
    ...[6, 5, 4, 3, 2, 1, 0].map((count) => sequence(...times(count, groupBefore), last32)),
    group,
    literal(''),
  ];
  const forms = endings.flatMap((ending, index) => {
    if (index === 0) return [ending];
    const starts = Array.from({ length: index - 1 }, (_, count) => sequence(...times(count, groupBefore), group));
    return [literal(''), ...starts].map((start) => sequence(start, literal('::'), ending));
  });
  const [proxy, space, end] = [literal('PROXY '), literal(' '), literal('\r\n')];
  const line = (family: Language, address: Language): Language =>
    sequence(proxy, family, space, address, space, address, space, port, space, port, end);
  return either(
    line(literal('TCP4'), quad),
    line(literal('TCP6'), either(...forms)),
    sequence(proxy, literal('UNKNOWN'), end),
    sequence(proxy, literal('UNKNOWN '), { word: '[^\\r\\n]{0,91}', beginning: '[^\\r\\n]{0,91}' }, end),
  );
}

const { word, beginning } = grammar();
const wholeLine = new RegExp(`^${word}$`);
const beginningOfLine = new RegExp(`^${beginning}$`);

interface Sample {
  readonly header: string;
  readonly client: Client;
}

const port = fc.oneof(fc.nat(65535), fc.constantFrom(0, 9, 10, 65529, 65530, 65535));
const word32 = fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 1, 0xffff, 0xffffffff));
const address = fc.oneof(
  fc.record({ w0: word32, w1: word32, w2: word32, w3: word32 }),
  fc.record({ w0: fc.constant(0), w1: fc.constant(0), w2: fc.constantFrom(0, 0xffff), w3: word32 }),
);
const ipv6Text = fc.oneof(
  fc.ipV6(),
  address.map(formatIpv6),
  fc.ipV4().map((quad) => `::ffff:${quad}`),
);

/** The header of a client, if the line is not too long. */
function lineOf(family: string, texts: readonly [string, string], ports: readonly [number, number]): Sample {
  const header = `PROXY ${family} ${texts.join(' ')} ${ports.join(' ')}\r\n`;
  return { header, client: [formatIp(ip(texts[0])), ports[0]] };
}

const namedLine = fc.oneof(
  fc.tuple(fc.tuple(fc.ipV4(), fc.ipV4()), fc.tuple(port, port)).map(([texts, ports]) => lineOf('TCP4', texts, ports)),
  fc
    .tuple(fc.tuple(ipv6Text, ipv6Text), fc.tuple(port, port))
    .map(([texts, ports]) => lineOf('TCP6', texts, ports))
    .filter(({ header }) => header.length <= 107),
);
const anyText = (maxLength: number): fc.Arbitrary<string> => fc.uint8Array({ maxLength }).map(latin1);
const unknownLine = fc.option(anyText(91)).map((text): Sample => {
  const ignored = text === null ? '' : ` ${text.replaceAll(/[\r\n]/g, '')}`;
  return { header: `PROXY UNKNOWN${ignored}\r\n`, client: undefined };
});
const textHeader = fc.oneof({ weight: 3, arbitrary: namedLine }, unknownLine);

const tlvs = fc
  .array(fc.tuple(fc.nat(255), anyText(300)), { maxLength: 4 })
  .map((list) => list.map(([type, value]) => tlv(type, value)).join(''));
const binaryHeader = fc.oneof(
  fc.tuple(fc.ipV4(), port, fc.ipV4(), port, tlvs).map(
    ([source, sourcePort, destination, destinationPort, extra]): Sample => ({
      header: binary(0x21, 0x11, inet(source, sourcePort, destination, destinationPort) + extra),
      client: [source, sourcePort],
    }),
  ),
  fc.tuple(address, port, address, port, tlvs).map(
    ([source, sourcePort, destination, destinationPort, extra]): Sample => ({
      header: binary(0x21, 0x21, inet6(source, sourcePort, destination, destinationPort) + extra),
      client: [formatIp(source), sourcePort],
    }),
  ),
  fc
    .tuple(fc.constantFrom(0x00, 0x01, 0x10, 0x12, 0x22, 0x31, 0x32), fc.uint8Array({ minLength: 216, maxLength: 500 }))
    .map(([family, following]): Sample => ({ header: binary(0x21, family, latin1(following)), client: undefined })),
  fc
    .tuple(fc.nat(255), anyText(300))
    .map(([family, following]): Sample => ({ header: binary(0x20, family, following), client: undefined })),
);
const anyHeader = fc.oneof(textHeader, binaryHeader);

/** The text cut at these places; where two are the same, an empty chunk lies between. */
function cut(text: string, places: readonly number[]): readonly Uint8Array[] {
  const ends = [...places.map((place) => place % (text.length + 1)), text.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytesOf(text.slice(ends[index - 1] ?? 0, end)));
}

const cutter = fc.oneof(
  fc.array(fc.nat(), { maxLength: 8 }).map((places) => (text: string) => cut(text, places)),
  fc.nat().map((place) => (text: string) => cut(text, [0, 0, place, place])),
  fc.constant((text: string) => Array.from(text, bytesOf)),
);

/** The line written anew: its words, with the client's port as it was read and the other port as a number. */
function again(text: string, client: Client): string {
  if (client === undefined) return text.replace(/^(?!PROXY UNKNOWN[ \r])/, 'not unknown: ');
  const [proxy, family, source = '', destination, , destinationPort] = text.trimEnd().split(' ');
  expect(client[0]).toBe(formatIp(ip(source)));
  return `${[proxy, family, source, destination, client[1], Number(destinationPort)].join(' ')}\r\n`;
}

describe('any input', () => {
  it('reads a header split anywhere and returns exactly the bytes that follow', () => {
    fc.assert(
      fc.property(anyHeader, anyText(200), cutter, ({ header, client }, following, chunksOf) => {
        const { answer, rest } = readChunks(chunksOf(header + following));
        expect(answer).toEqual({ client, length: header.length });
        expect(rest).toBe(following);
      }),
      { numRuns: 1000 },
    );
  });

  it('waits for the rest of a header truncated anywhere', () => {
    fc.assert(
      fc.property(anyHeader, fc.nat(), ({ header }, end) => {
        expect(readBytes(header.slice(0, end % header.length)).answer).toBe('more');
      }),
      { numRuns: 1000 },
    );
  });

  it('generates lines that match the reference grammar', () => {
    for (const { header } of fc.sample(textHeader, 200)) {
      expect(header).toMatch(wholeLine);
      expect(header.slice(0, header.length / 2)).toMatch(beginningOfLine);
    }
  });

  it('agrees with the reference grammar at every byte of a line', () => {
    const characters = fc.constantFrom(...Array.from('PROXYTCP46UNKNOWN 0123456789.:abF%[-\r\n\0\xff'));
    const flawed = fc
      .tuple(textHeader, fc.nat(), fc.oneof(characters, characters, anyText(2)), fc.nat(2))
      .map(([{ header }, at, put, removed]) => {
        const place = at % header.length;
        return header.slice(0, place) + put + header.slice(place + removed);
      });
    fc.assert(
      fc.property(flawed, (text) => {
        if (text.startsWith('\r')) return;
        const { answer, taken } = readBytes(text);
        const read = text.slice(0, taken);
        // What begins as a line did so all the time before.
        expect(text.slice(0, taken - 1)).toMatch(beginningOfLine);
        if (answer === 'malformed') {
          // The grammar bounds the length of UNKNOWN alone: the others can become too long from about here.
          if (taken < 95 || text.startsWith('PROXY U')) expect(read).not.toMatch(beginningOfLine);
        } else if (answer === 'more') {
          expect(read).toMatch(beginningOfLine);
          expect(read).not.toMatch(wholeLine);
          expect(taken).toBeLessThan(107);
        } else {
          expect(read).toMatch(wholeLine);
          expect(answer.length).toBe(taken);
          expect(again(read, answer.client)).toBe(read);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('never throws or waits for more than a header can hold', () => {
    const starts = fc.constantFrom('', '\r', 'PROXY ', 'PROXY TCP6 ', 'PROXY UNKNOWN ', signature, `${signature}!`);
    fc.assert(
      fc.property(starts, fc.uint8Array({ maxLength: 400 }), (start, bytes) => {
        const text = start + latin1(bytes);
        const { answer } = readBytes(text);
        if (answer !== 'more' || text === '') return;
        if (!text.startsWith('\r')) {
          expect(text).toMatch(beginningOfLine);
          return;
        }
        expect(text.slice(0, 12)).toBe(signature.slice(0, text.length));
        if (text.length > 12) expect(text.charCodeAt(12) & 0xfe).toBe(0x20);
        if (text.length >= 16) expect(text.length).toBeLessThan(16 + text.charCodeAt(14) * 256 + text.charCodeAt(15));
      }),
      { numRuns: 2000 },
    );
  });
});
