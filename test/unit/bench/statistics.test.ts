import { expect, test } from 'vitest';
import { median, ratioOfPairs } from '../../../bench/statistics.ts';

test.each([
  [[3, 1, 2], 2],
  [[4, 1, 2, 3], 2.5],
  [[7], 7],
  [[], Number.NaN],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected);
});

test('a median leaves the values in their order', () => {
  const values = [3, 1, 2];
  median(values);
  expect(values).toEqual([3, 1, 2]);
});

test('ratios are taken pair by pair', () => {
  // The ratio of the medians would be 1.
  expect(ratioOfPairs([10, 20, 30], [20, 10, 20])).toEqual({ median: 1.5, least: 0.5, most: 2, count: 3 });
});

test('an incomplete pair does not count', () => {
  expect(ratioOfPairs([10, undefined, 30], [5, 10])).toEqual({ median: 2, least: 2, most: 2, count: 1 });
  expect(ratioOfPairs([10], [0])).toBeUndefined();
});
