import { describe, expect, test } from 'vitest';
import { Pace } from '../../../../src/client/probe/round.ts';

describe('a pace', () => {
  test('spaces starts evenly', () => {
    const pace = new Pace(2);
    expect(pace.waitMs(1000)).toBeLessThan(0);
    pace.started(1000);
    expect(pace.waitMs(1000)).toBe(480);
    pace.started(1480);
    expect(pace.waitMs(1480)).toBe(500);
  });

  test('makes up for a late timer, and not for a pause', () => {
    const pace = new Pace(100);
    pace.started(0);
    pace.started(25);
    expect(pace.waitMs(25)).toBeLessThanOrEqual(0);
    pace.started(5000);
    pace.started(5000);
    pace.started(5000);
    expect(pace.waitMs(5000)).toBe(10);
  });

  test('can be without a limit', () => {
    const pace = new Pace(Infinity);
    for (let count = 0; count < 1000; count += 1) pace.started(7);
    expect(pace.waitMs(7)).toBeLessThanOrEqual(0);
  });
});
