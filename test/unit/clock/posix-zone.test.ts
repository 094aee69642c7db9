import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePosixZone, posixTypeAt } from '../../../src/clock/posix-zone.ts';

function show(rule: string, instant: string): string {
  const zone = parsePosixZone(rule);
  if (zone === undefined) throw new Error(`${rule} was refused`);
  const { offsetSeconds, abbreviation } = posixTypeAt(zone, Date.parse(instant) / 1000);
  return `${abbreviation} ${offsetSeconds}`;
}

describe('a zone without daylight time', () => {
  it.each([
    ['UTC0', 'UTC 0'],
    ['JST-9', 'JST 32400'],
    ['<+03>-3', '+03 10800'],
    ['<-0930>9:30', '-0930 -34200'],
    ['XYZ+1:02:03', 'XYZ -3723'],
  ])('%s', (rule, expected) => {
    expect(show(rule, '2026-07-01T00:00:00Z')).toBe(expected);
  });
});

describe('a zone with daylight time changes at', () => {
  it.each([
    ['the last Sunday', 'CET-1CEST,M3.5.0,M10.5.0/3', '2026-03-29T00:59:59Z', 'CET 3600', 'CEST 7200'],
    ['the last Sunday of autumn', 'CET-1CEST,M3.5.0,M10.5.0/3', '2026-10-25T00:59:59Z', 'CEST 7200', 'CET 3600'],
    ['the second Sunday', 'EST5EDT,M3.2.0,M11.1.0', '2026-03-08T06:59:59Z', 'EST -18000', 'EDT -14400'],
    ['the first Sunday', 'EST5EDT,M3.2.0,M11.1.0', '2026-11-01T05:59:59Z', 'EDT -14400', 'EST -18000'],
    ['the default rule', 'EST5EDT', '2026-03-08T06:59:59Z', 'EST -18000', 'EDT -14400'],
    ['an hour before the day', 'AAA0BBB,M3.5.0/-1,M10.5.0', '2026-03-28T22:59:59Z', 'AAA 0', 'BBB 3600'],
    ['half an hour', '<+1030>-10:30<+11>-11,M10.1.0,M4.1.0', '2026-04-04T14:59:59Z', '+11 39600', '+1030 37800'],
    ['a negative daylight time', 'IST-1GMT0,M10.5.0,M3.5.0/1', '2026-03-29T00:59:59Z', 'GMT 0', 'IST 3600'],
    ['day 60 without leap days', 'AAA0BBB,J60/0,J300', '2024-02-29T23:59:59Z', 'AAA 0', 'BBB 3600'],
    ['day 59 from zero', 'AAA0BBB,59/0,300', '2024-02-28T23:59:59Z', 'AAA 0', 'BBB 3600'],
  ])('%s: %s %s', (_name, rule, instant, before, after) => {
    expect(show(rule, instant)).toBe(before);
    expect(show(rule, new Date(Date.parse(instant) + 1000).toISOString())).toBe(after);
  });

  it('no new year in the southern hemisphere', () => {
    const rule = 'AEST-10AEDT,M10.1.0,M4.1.0/3';
    expect(show(rule, '2026-12-31T23:59:59Z')).toBe('AEDT 39600');
    expect(show(rule, '2027-01-01T00:00:00Z')).toBe('AEDT 39600');
    expect(show(rule, '2026-07-01T00:00:00Z')).toBe('AEST 36000');
  });
});

describe('refuses', () => {
  it.each([
    '',
    'CET',
    'C-1',
    '<+03-3',
    'CET-1,',
    'JST-9\n',
    '-9',
    'CET-1CEST M3',
    'CET-1CEST,M3.5.0',
    'CET-1CEST,M13.5.0,M1.1.0',
  ])('%j', (text) => {
    expect(parsePosixZone(text)).toBeUndefined();
  });

  it('any other text without throwing', () => {
    const parts = fc.constantFrom('CET', '<+03>', '-1', ',', 'M3.5.0', 'J60', '/3', '-', ':30', '999', '\n', 'x');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(parts).map((found) => found.join('')),
        ),
        (text) => {
          const zone = parsePosixZone(text);
          if (zone !== undefined) expect(posixTypeAt(zone, 1_800_000_000).abbreviation).toMatch(/^[A-Za-z0-9+-]{3,}$/);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
