import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Line, Lines } from '../../src/lines.ts';

/** All lines of a text that arrives in these pieces. */
function linesOf(pieces: readonly string[], maxBytes = 10): readonly string[] {
  const lines = new Lines(maxBytes);
  const found: string[] = [];
  for (const piece of pieces) {
    let line = lines.take(Buffer.from(piece, 'latin1'));
    while (line !== undefined) {
      if (line === 'too-long') return [...found, 'too long'];
      found.push(line.text);
      line = lines.take(line.rest);
    }
  }
  return found;
}

describe('lines', () => {
  it.each([
    ['end with CR LF', ['one\r\n'], ['one']],
    ['end with LF', ['one\ntwo\n'], ['one', 'two']],
    ['may arrive in pieces', ['o', 'n', 'e\r', '\nt', 'wo\n'], ['one', 'two']],
    ['may be empty', ['\r\n\n'], ['', '']],
    ['keep a CR in the middle', ['o\rne\n'], ['o\rne']],
    ['are not complete without LF', ['one\r'], []],
    ['may be as long as the limit, with CR LF', [`${'x'.repeat(10)}\r\n`], ['x'.repeat(10)]],
    ['are too long one byte later', [`${'x'.repeat(11)}\n`], ['too long']],
    ['are too long without an end', ['x'.repeat(12)], ['too long']],
    ['are too long in pieces', ['x'.repeat(6), 'x'.repeat(6)], ['too long']],
  ])('%s', (_name, pieces, expected) => {
    expect(linesOf(pieces)).toEqual(expected);
  });

  it('are the same however they are split, and none is longer than the limit', () => {
    const text = fc.array(fc.constantFrom('a', '\r', '\n', '\r\n', 'bcdef', '\xff'), { maxLength: 30 });
    fc.assert(
      fc.property(text, (parts) => {
        const whole = linesOf([parts.join('')]);
        expect(linesOf(parts)).toEqual(whole);
        for (const line of whole) expect(line.length).toBeLessThanOrEqual(10);
      }),
    );
  });

  it('hold no more of a line than the limit and a CR, and never go on after one that is too long', () => {
    const text = fc.array(fc.constantFrom('a', '\r', '\n', 'bcdefghi', 'x'.repeat(20)), { maxLength: 30 });
    fc.assert(
      fc.property(text, (parts) => {
        const lines = new Lines(10);
        let isOver = false;
        for (const part of parts) {
          const line = lines.take(Buffer.from(part));
          if (isOver) expect(line).toBe('too-long');
          isOver ||= line === 'too-long';
          expect(lines.pending.length).toBeLessThanOrEqual(isOver ? 0 : 11);
        }
      }),
    );
  });

  it('are taken from bytes in the middle of a buffer', () => {
    const bytes = new Uint8Array(Buffer.from('xxone\ntwo\nxx')).subarray(2, -2);
    const lines = new Lines(10);
    const first = lines.take(bytes);
    expect(first).toMatchObject({ text: 'one' });
    expect(lines.take((first as Line).rest)).toMatchObject({ text: 'two', rest: new Uint8Array() });
  });

  it.each<[unknown]>([[undefined], [Number.NaN], [Infinity], [-1], [1.5], [2 ** 53], ['512'], [512n]])(
    'cannot be of at most %s bytes',
    (maxBytes) => {
      expect(() => new Lines(maxBytes as number)).toThrow(
        new RangeError(`a line cannot have at most ${String(maxBytes)} bytes: expected a whole number of at least 0`),
      );
    },
  );

  it('may be empty only', () => {
    expect(linesOf(['\n\r\n', '\r', '\n'], 0)).toEqual(['', '', '']);
    expect(linesOf(['\n', 'x'], 0)).toEqual(['', 'too long']);
  });

  it('are the bytes that arrived, whatever happens to a chunk afterwards', () => {
    const lines = new Lines(5000);
    const chunk = Buffer.alloc(1);
    const text = Array.from({ length: 5000 }, (_, index) => String.fromCharCode(32 + (index % 224))).join('');
    for (const byte of Buffer.from(text, 'latin1')) {
      chunk[0] = byte;
      lines.take(chunk);
    }
    expect(lines.pending).toBe(text);
    expect(lines.take(Buffer.from('\r\n'))).toMatchObject({ text });
    expect(lines.pending).toBe('');
  });

  it('gives what has arrived of an incomplete line', () => {
    const lines = new Lines(10);
    lines.take(Buffer.from('one\ntw'));
    expect(lines.pending).toBe('');
    lines.take(Buffer.from('tw'));
    expect(lines.pending).toBe('tw');
    lines.take(Buffer.from('o\r'));
    expect(lines.pending).toBe('two');
    expect(lines.take(Buffer.from('\n'))).toMatchObject({ text: 'two' });
  });
});
