import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkDatagram, PatternCheck, patternPieces } from '../../../src/client/chargen-pattern.ts';

/** RFC 864's example, made in another way than the program makes it. */
const ring = Array.from({ length: 95 }, (_character, code) => String.fromCharCode(0x20 + code)).join('');
const lines = Array.from({ length: 95 }, (_line, index) => `${(ring + ring).slice(index, index + 72)}\r\n`);
const period = lines.join('');

function pattern(length: number): Buffer {
  return Buffer.concat([...patternPieces(length)]);
}

describe('patternPieces', () => {
  test('starts with the line shown in RFC 864 and repeats every 7,030 bytes', () => {
    const text = pattern(3 * 7030).toString('latin1');
    expect(text.slice(0, 74)).toBe(' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n');
    expect(text).toBe(period.repeat(3));
  });

  test('yields exactly the requested length, with no seams between pieces', () => {
    const length = 200_003;
    expect(pattern(length).toString('latin1')).toBe(period.repeat(29).slice(0, length));
    expect([...patternPieces(0)]).toEqual([]);
  });
});

describe('PatternCheck', () => {
  test('accepts the pattern however it is split', () => {
    const cuts = fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 8 });
    fc.assert(
      fc.property(cuts, (lengths) => {
        const check = new PatternCheck();
        const all = pattern(lengths.reduce((sum, length) => sum + length, 0));
        let begin = 0;
        for (const length of lengths) {
          expect(check.check(all.subarray(begin, begin + length))).toBeUndefined();
          begin += length;
        }
      }),
      { numRuns: 30 },
    );
  });

  test('reports the offset of a changed byte', () => {
    const length = 150_000;
    const offsets = fc.integer({ min: 0, max: length - 1 });
    fc.assert(
      fc.property(
        offsets,
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 1, max: length }),
        (offset, flip, cut) => {
          const bytes = pattern(length);
          const expected = bytes[offset] as number;
          bytes[offset] = expected ^ flip;
          const check = new PatternCheck();
          const found = check.check(bytes.subarray(0, cut)) ?? check.check(bytes.subarray(cut));
          expect(found).toEqual({ offset, expected, got: expected ^ flip });
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('checkDatagram', () => {
  test.each([0, 1, 71, 74, 512])('accepts the first %i bytes of the pattern', (length) => {
    expect(checkDatagram(pattern(length))).toBeUndefined();
  });

  test('accepts a datagram that starts with any line', () => {
    for (const [index, line] of lines.entries()) {
      const next = lines[(index + 1) % 95] ?? '';
      expect(checkDatagram(Buffer.from(line + next))).toBeUndefined();
    }
  });

  test('rejects a datagram longer than 512 bytes', () => {
    expect(checkDatagram(pattern(513))).toEqual({ offset: 512, expected: undefined, got: period.charCodeAt(512) });
  });

  test.each([
    ['\r\n', { offset: 0, expected: 0x20, got: 0x0d }],
    ['!!', { offset: 1, expected: 0x22, got: 0x21 }],
    // A line of another ring: xinetd leaves out two characters.
    [`${lines[0]?.slice(0, 72)}\r\n#`, { offset: 74, expected: 0x21, got: 0x23 }],
  ])('rejects %j', (text, deviation) => {
    expect(checkDatagram(Buffer.from(text))).toEqual(deviation);
  });
});
