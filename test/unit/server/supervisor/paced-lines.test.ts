import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { readLines } from '../../../../src/server/supervisor/paced-lines.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

function read(): { stream: PassThrough; clock: FakeClock; lines: string[]; leftOut: () => number } {
  const stream = new PassThrough();
  const clock = new FakeClock();
  const lines: string[] = [];
  let leftOut = 0;
  const pace = { linesPerSecond: 3, bytesPerSecond: 100 };
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
  stream.write('x'.repeat(101));
  await setImmediate();
  expect(stream.isPaused()).toBe(true);
  clock.advance(1000);
  stream.write('\n');
  await setImmediate();
  expect(lines).toEqual([`${'x'.repeat(101)}\n`]);
});
