import { expect, it } from 'vitest';
import { LineBudget } from '../src/line-budget.ts';

it('lets a hundred lines a second through, and counts the others', () => {
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
