import { describe, expect, it } from 'vitest';
import { modifiedJulianDate, usDaylightCode } from '../../../src/clock/nist.ts';

describe('the Modified Julian Date', () => {
  it.each([
    [1858, 11, 17, 0],
    [1970, 1, 1, 40_587],
    [2000, 1, 1, 51_544],
    [2026, 11, 22, 61_366],
  ])('of %i-%i-%i is %i', (year, month, day, expected) => {
    expect(modifiedJulianDate(year, month, day)).toBe(expected);
  });
});

describe('the US daylight-saving code', () => {
  it.each([
    ['winter', 2026, 1, 15, 0],
    ['the day before the spring month', 2026, 2, 28, 0],
    ['March counts down from its first day', 2026, 3, 1, 58],
    ['the day before the change', 2026, 3, 7, 52],
    ['the second Sunday of March', 2026, 3, 8, 51],
    ['daylight time from the next day', 2026, 3, 9, 50],
    ['summer', 2026, 7, 4, 50],
    ['the day before the autumn month', 2026, 10, 31, 50],
    ['the first Sunday of November', 2026, 11, 1, 1],
    ['standard time from the next day', 2026, 11, 2, 0],
    ['November counts down', 2025, 11, 1, 2],
    ['the first day of November with the latest change', 2027, 11, 1, 7],
    ['the day of the latest change of autumn', 2027, 11, 7, 1],
    ['the latest change of spring', 2027, 3, 14, 51],
    ['the first day of March with the latest change', 2027, 3, 1, 64],
    ['December', 2026, 12, 1, 0],
  ])('%s: %i-%i-%i is %i', (_name, year, month, day, expected) => {
    expect(usDaylightCode(year, month, day)).toBe(expected);
  });
});
