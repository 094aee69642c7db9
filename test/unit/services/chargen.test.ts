import { describe, expect, it } from 'vitest';
import { chargen } from '../../../src/services/chargen.ts';
import { connect, FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

const lineZero = ' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n';
const context = new FakeContext();
const service = await chargen.create({}, context);

/** The byte at a position of the endless stream, from the words of RFC 864. */
function byteAt(position: number): number {
  const line = Math.floor(position / 74);
  const column = position % 74;
  if (column === 72) return 0x0d;
  return column === 73 ? 0x0a : 0x20 + ((line + column) % 95);
}

function pattern(length: number): string {
  return String.fromCharCode(...Array.from({ length }, (_, position) => byteAt(position)));
}

describe('chargen over TCP (RFC 864)', () => {
  it('starts each connection at line 0', () => {
    for (let turn = 0; turn < 2; turn++) expect(connect(service).text.slice(0, 74)).toBe(lineZero);
  });

  it.each([
    [1, '!"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh'],
    [24, '89:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~ !"#$%&\'()*+,-./'.slice(0, 72)],
    [94, '~ !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdef'],
    [95, lineZero.slice(0, 72)],
  ])('sends in line %i 72 characters of the ring and CR LF', (line, characters) => {
    expect(connect(service).text.slice(74 * line, 74 * (line + 1))).toBe(`${characters}\r\n`);
  });

  it('sends each of the 95 printable characters', () => {
    const characters = new Set(connect(service).text.replaceAll('\r\n', ''));
    expect([...characters].toSorted().join('')).toBe(pattern(72) + String.fromCharCode(...range(0x20 + 72, 0x7e)));
  });

  it('repeats after exactly 95 lines (7,030 bytes)', () => {
    const { text } = connect(service);
    expect(text.slice(7030, 14_060)).toBe(text.slice(0, 7030));
    expect(text.indexOf(lineZero, 1)).toBe(7030);
  });

  it('continues seamlessly whenever the socket drains', () => {
    const connection = new FakeConnection(service);
    for (let turn = 1; turn <= 3; turn++) {
      expect(connection.client.bytes.length).toBe(turn * 9 * 7030);
      connection.drain();
    }
    const expected = Buffer.from(Array.from({ length: 4 * 9 * 7030 }, (_, position) => byteAt(position)));
    expect(connection.client.bytes.equals(expected)).toBe(true);
  });

  it('ignores input and is not stopped by a FIN', () => {
    const connection = new FakeConnection(service);
    const sent = connection.client.bytes.length;
    connection.send('stop');
    connection.finish();
    expect(connection.client.bytes.length).toBe(sent);
    expect(connection.client.ended).toBe(false);
    connection.drain();
    expect(connection.client.bytes.length).toBe(2 * sent);
  });
});

describe('chargen over UDP', () => {
  it.each([
    ['nothing', 0, 65_507, 0],
    ['at most 512 bytes', 0.999_999, 65_507, 512],
    ['the middle', 0.5, 65_507, 256],
    ['one byte', 1 / 513, 65_507, 1],
    ['at most the limit', 0.999_999, 18, 18],
    ['less than the limit', 0.5, 18, 9],
    ['nothing if the limit is 0', 0.999_999, 0, 0],
  ])('replies with a random length of the pattern: %s', (_name, random, limit, length) => {
    context.randomNumbers.push(random);
    const reply = service.datagram?.(Buffer.from('ignored'), limit, nowhere);
    expect(Buffer.from(reply as Uint8Array).toString('latin1')).toBe(pattern(length));
  });

  it('draws every length with equal probability', () => {
    const lengths = range(0, 512).map((step) => {
      context.randomNumbers.push((step + 0.5) / 513);
      const reply = service.datagram?.(Buffer.alloc(0), 65_507, nowhere);
      return reply?.length;
    });
    expect(lengths).toEqual(range(0, 512));
  });

  it('sends no reply if the limit does not allow even an empty reply', () => {
    expect(service.datagram?.(Buffer.alloc(0), -1, nowhere)).toBeUndefined();
  });

  it('has maxAmplification 1 and names its hazard', () => {
    expect(chargen.maxAmplification).toBe(1);
    expect(chargen.udpHazard).toBeTruthy();
  });
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
