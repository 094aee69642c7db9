import { expect, it, test } from 'vitest';
import { formatDoneRate, formatTimeLeft, keepShowing, RequestProgress } from '../../../../src/client/tool/progress.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

test.each([
  [1000, 1, 60, Infinity, ', 59s left'],
  [1500, 1, 2, Infinity, ', 2s left'],
  [1000, 1, 126, Infinity, ', 2m05s left'],
  [1000, 1, 3721, Infinity, ', 1h02m left'],
  [1000, 1, 60, 10_000, ', 9s left'],
  [1000, 1, 3, 10_000, ', 2s left'],
  [1000, 0, undefined, 10_000, ', 9s left'],
  [11_000, 0, undefined, 10_000, ', 0s left'],
  [1000, 70, 60, Infinity, ', 0s left'],
  [1000, 0, 60, Infinity, ''],
  [1000, 1, undefined, Infinity, ''],
])('formatTimeLeft after %d ms with %d of %s, deadline %d ms', (elapsedMs, done, total, deadlineMs, left) => {
  expect(formatTimeLeft(elapsedMs, done, total, deadlineMs)).toBe(left);
});

test.each([
  [999, 50, ''],
  [2000, 1, ', 0.5/s'],
  [1000, 1234, ', 1234/s'],
])('formatDoneRate after %d ms with %d', (elapsedMs, done, rate) => {
  expect(formatDoneRate(elapsedMs, done)).toBe(rate);
});

it('counts requests, and late answers to lost ones', () => {
  const progress = new RequestProgress(60);
  expect(progress.line(0)).toBe('0 of 60 requests');
  for (let count = 0; count < 10; count += 1) progress.answered(0.4, false);
  progress.lost();
  progress.lost();
  expect(progress.line(12_000)).toBe('12 of 60 requests, 16.7% lost, 1.0/s, last 0.400 ms, 48s left');
  progress.answered(6000, true);
  expect(progress.line(12_000)).toBe('12 of 60 requests, 8.3% lost, 1.0/s, last 6000 ms, 48s left');
  expect(new RequestProgress(undefined, 60_000).line(10_000)).toBe('0 requests, 0.0/s, 50s left');
});

it('shows its line five times a second, until it is stopped', () => {
  const clock = new FakeClock();
  const shown: (string | undefined)[] = [];
  const terminal = { showProgress: (line: string | undefined) => void shown.push(line) };
  const stop = keepShowing(terminal, (elapsedMs) => `after ${elapsedMs} ms`, clock);
  clock.advance(500);
  stop();
  clock.advance(500);
  expect(shown).toEqual(['after 200 ms', 'after 400 ms', undefined]);
});
