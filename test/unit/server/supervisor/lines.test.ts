import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitLines } from '../../../../src/server/supervisor/paced-lines.ts';

function cut(...pieces: readonly string[]): readonly string[] {
  const passed: string[] = [];
  const write = splitLines(
    (line) => passed.push(line),
    () => passed.push('(too long)'),
  );
  for (const piece of pieces) write(piece);
  return passed;
}

const max = 256 * 1024;

describe('splitLines', () => {
  it.each<[string, string[], string[]]>([
    ['a whole line', ['one\n'], ['one\n']],
    ['several lines at once', ['one\ntwo\n'], ['one\n', 'two\n']],
    ['a line in pieces', ['o', 'n', 'e\n'], ['one\n']],
    ['a piece that ends one line and begins the next', ['one\ntw', 'o\n'], ['one\n', 'two\n']],
    ['an empty line', ['\n'], ['\n']],
    ['an incomplete line, which is held back', ['one\ntwo'], ['one\n']],
    ['a separate line end', ['one', '\n'], ['one\n']],
  ])('%s', (_case, pieces, expected) => {
    expect(cut(...pieces)).toEqual(expected);
  });

  it('passes on complete lines in order, regardless of chunk boundaries', () => {
    const lineList = fc.array(fc.string({ maxLength: 20 }).map((text) => `${text.replaceAll('\n', ' ')}\n`));
    fc.assert(
      fc.property(lineList, fc.array(fc.nat(50)), (lines, lengths) => {
        let text = lines.join('');
        const pieces: string[] = [];
        for (const length of lengths) {
          pieces.push(text.slice(0, length));
          text = text.slice(length);
        }
        expect(cut(...pieces, text)).toEqual(lines);
      }),
    );
  });

  it('discards an overlong line, including its tail, and reports it once', () => {
    const piece = 'x'.repeat(max / 2);
    expect(cut('one\n', piece, piece, piece, piece, piece, 'the end\ntwo\n')).toEqual(['one\n', '(too long)', 'two\n']);
  });

  it('discards an overlong line that ends in the next chunk', () => {
    expect(cut('x'.repeat(max + 1), '\ntwo\n')).toEqual(['(too long)', 'two\n']);
  });

  it('passes on a line of the maximum length', () => {
    const line = 'x'.repeat(max);
    expect(cut(line, '\n')).toEqual([`${line}\n`]);
  });
});
