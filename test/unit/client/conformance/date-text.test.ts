import { describe, expect, test } from 'vitest';
import { readDate } from '../../../../src/client/conformance/date-text.ts';

const utcMs = Date.UTC(2026, 10, 22, 11, 7, 12);

describe('readDate', () => {
  test.each([
    ['Sunday, November 22, 2026 11:07:12-UTC\r\n', true],
    ['Sunday, November 22, 2026 11:07:12-JST\r\n', false],
    ['22 NOV 26 11:07:12 UTC\r\n', true],
    ['22 NOV 2026 11:07:12 UTC\r\n', true],
    ['Sun Nov 22 11:07:12 2026\r\n', false],
    ['Sun Nov 22 11:07:12 UTC 2026\r\n', true],
    ['Sun Nov 22 11:07:12 CET 2026\r\n', false],
    ['2026-11-22T11:07:12+00:00\r\n', true],
    ['2026-11-22T11:07:12Z', true],
    ['2026-11-22 11:07:12', false],
    ['\n61366 26-11-22 11:07:12 00 0 0   0.0 UTC(NIST) *\n', true],
    ['Sun, 22 Nov 2026 11:07:12 GMT', true],
  ])('reads %j', (text, hasZone) => {
    expect(readDate(text)).toEqual({ utcMs, hasZone });
  });

  test.each([
    ['2026-11-22T12:07:12+01:00', 'an hour ahead of UTC'],
    ['Sun, 22 Nov 2026 07:37:12 -0330', 'hours behind UTC'],
  ])('reads %j, which is %s', (text) => {
    expect(readDate(text)).toEqual({ utcMs, hasZone: true });
  });

  test.each(['', 'a quarter past eleven', '11:07:12', 'Sunday, November 22, 2026', '22/11/2026 11:07:12'])(
    'returns undefined for %j',
    (text) => {
      expect(readDate(text)).toBeUndefined();
    },
  );
});
