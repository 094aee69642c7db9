import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineBudget } from '../../../src/server/line-budget.ts';

it('allows a hundred lines a second and counts the rest', () => {
  const budget = new LineBudget();
  const taken = (nowMs: number, lines: number): number =>
    Array.from({ length: lines }, () => budget.take(nowMs)).filter(Boolean).length;
  expect(taken(0, 150)).toBe(100);
  expect(taken(999, 5)).toBe(0);
  expect(budget.takeLeftOut()).toBe(55);
  expect(budget.takeLeftOut()).toBe(0);
  expect(taken(1000, 101)).toBe(100);
  expect(budget.takeLeftOut()).toBe(1);
});

it('keeps reserved lines for callers that may use them', () => {
  const budget = new LineBudget(5);
  const taken = (nowMs: number, kept: number): number =>
    Array.from({ length: 9 }, () => budget.take(nowMs, kept)).filter(Boolean).length;
  expect(taken(0, 2)).toBe(3);
  expect(taken(500, 0)).toBe(2);
  expect(taken(1000, 2), 'two of the last second are gone').toBe(1);
  expect(taken(1500, 2)).toBe(2);
  expect(taken(1500, 0)).toBe(2);
  expect(budget.takeLeftOut()).toBe(5 * 9 - 10);
});

it('allows exactly the limit in any one-second window', () => {
  const gaps = fc.array(fc.oneof(fc.nat(40), fc.nat(1500)), { maxLength: 300 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 100 }), (waits, limit) => {
      const budget = new LineBudget(limit);
      const written: number[] = [];
      let nowMs = 0;
      for (const wait of waits) {
        nowMs += wait;
        const inLastSecond = written.filter((atMs) => nowMs - atMs < 1000).length;
        expect(budget.take(nowMs)).toBe(inLastSecond < limit);
        if (inLastSecond < limit) written.push(nowMs);
      }
      expect(budget.takeLeftOut()).toBe(waits.length - written.length);
    }),
  );
});
