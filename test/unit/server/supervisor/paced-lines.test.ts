import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLines, splitLines } from '../../../../src/server/supervisor/paced-lines.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

function read(): { stream: PassThrough; clock: FakeClock; lines: string[]; leftOut: () => number } {
  const stream = new PassThrough();
  const clock = new FakeClock();
  const lines: string[] = [];
  let leftOut = 0;
  const pace = { linesPerSecond: 3, bytesPerSecond: 1000 };
  readLines(
    stream,
    clock,
    pace,
    (line) => lines.push(line),
    () => (leftOut += 1),
  );
  return { stream, clock, lines, leftOut: () => leftOut };
}

it('passes on complete lines', async () => {
  const { stream, lines } = read();
  for (const text of ['one\ntw', 'o\n', 'three']) stream.write(text);
  await setImmediate();
  expect(lines).toEqual(['one\n', 'two\n']);
});

it('pauses the stream after linesPerSecond until the next second, and counts dropped lines', async () => {
  const { stream, clock, lines, leftOut } = read();
  stream.write('1\n2\n3\n4\n5\n');
  await setImmediate();
  expect([lines.length, leftOut(), stream.isPaused()]).toEqual([3, 2, true]);
  stream.write('6\n');
  clock.advance(999);
  await setImmediate();
  expect(lines.length).toBe(3);
  clock.advance(1);
  await setImmediate();
  expect(lines).toEqual(['1\n', '2\n', '3\n', '6\n']);
  expect(leftOut()).toBe(2);
});

it('pauses the stream after bytesPerSecond until the next second', async () => {
  const { stream, clock, lines } = read();
  stream.write('x'.repeat(800));
  await setImmediate();
  expect(stream.isPaused()).toBe(true);
  clock.advance(1000);
  stream.write('\n');
  await setImmediate();
  expect(lines).toEqual([`${'x'.repeat(800)}\n`]);
});

it('counts a cost for each read, so single bytes cannot keep it busy', async () => {
  const { stream } = read();
  for (let piece = 0; piece < 3; piece += 1) {
    stream.write('x');
    await setImmediate();
  }
  expect(stream.isPaused()).toBe(false);
  stream.write('x');
  await setImmediate();
  expect(stream.isPaused()).toBe(true);
});

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
