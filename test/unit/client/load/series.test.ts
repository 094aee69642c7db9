import { expect, test } from 'vitest';
import { type LoadSecond, LoadSeries } from '../../../../src/client/load/series.ts';

const nothing = { answered: 0, failed: 0, bytesSent: 0, bytesReceived: 0, p50Ms: undefined, p99Ms: undefined };

test('counts what happens in each second, and has a row for a second without anything', () => {
  const completed: LoadSecond[] = [];
  const series = new LoadSeries(500, (second) => completed.push(second));
  for (let request = 0; request < 98; request += 1) series.answered(600, 2);
  series.answered(700, 50);
  series.answered(1499, 50);
  series.moved(10, 20);
  series.failed(3600);
  expect(completed).toMatchObject([
    { second: 0, answered: 100, failed: 0, bytesSent: 10, bytesReceived: 20 },
    { second: 1, ...nothing },
    { second: 2, ...nothing },
  ]);
  // The histogram has three significant figures.
  expect(completed[0]?.p50Ms).toBeCloseTo(2, 1);
  expect(completed[0]?.p99Ms).toBeCloseTo(50, 0);
  series.end(3700);
  expect(series.seconds.slice(3)).toEqual([{ ...nothing, second: 3, failed: 1 }]);
});

test('has no last second if nothing happened in it', () => {
  const series = new LoadSeries(0);
  series.answered(999, 1);
  series.end(1500);
  expect(series.seconds.map(({ second, answered }) => [second, answered])).toEqual([[0, 1]]);
});
