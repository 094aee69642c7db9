import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { FaultRandom } from '../../../../src/server/faults/fault-random.ts';

const words = fc.integer({ min: 0, max: 2 ** 32 - 1 });

function take(seed: number, sequence: number, count: number): readonly number[] {
  const { next } = new FaultRandom(seed, sequence);
  return Array.from({ length: count }, next);
}

it('gives the same numbers for the same seed and sequence, from 0 up to 1', () => {
  fc.assert(
    fc.property(words, words, (seed, sequence) => {
      const numbers = take(seed, sequence, 50);
      expect(take(seed, sequence, 50)).toEqual(numbers);
      for (const number of numbers) expect(number >= 0 && number < 1).toBe(true);
    }),
  );
});

it('gives other numbers for the next seed and the next sequence', () => {
  fc.assert(
    fc.property(words, words, (seed, sequence) => {
      expect(take((seed + 1) >>> 0, sequence, 8)).not.toEqual(take(seed, sequence, 8));
      expect(take(seed, (sequence + 1) >>> 0, 8)).not.toEqual(take(seed, sequence, 8));
    }),
  );
});

it.each([0, 1, 2 ** 32 - 1])('spreads the numbers of seed %d evenly', (seed) => {
  const bins = Array.from({ length: 10 }, () => 0);
  for (const number of take(seed, 0, 100_000)) bins[Math.floor(number * 10)]! += 1;
  // Five standard deviations of a binomial distribution.
  for (const count of bins) expect(Math.abs(count - 10_000)).toBeLessThan(5 * Math.sqrt(9000));
});

it('spreads the first numbers of successive sequences evenly', () => {
  const firsts = Array.from({ length: 10_000 }, (_, sequence) => new FaultRandom(7, sequence).next());
  const low = firsts.filter((number) => number < 0.1).length;
  expect(Math.abs(low - 1000)).toBeLessThan(5 * Math.sqrt(900));
});
