import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatFields,
  formatMs,
  formatNumber,
  formatShare,
  formatSpan,
  formatTime,
  visible,
} from '../../../../src/server/page/format.ts';

describe('visible', () => {
  it('escapes what could mislead a reader, and leaves all else', () => {
    expect(visible('<b>Ünïcode</b> 🙂 "x" & y')).toBe('<b>Ünïcode</b> 🙂 "x" & y');
    expect(visible('a\u202eb\u0000\u001b[1m\u009b\n\u2066')).toBe('a\\u202eb\\u0000\\u001b[1m\\u009b\\u000a\\u2066');
    expect(visible('\ud800')).toBe('\\ud800');
  });

  test('leaves no control character, and is stable', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = visible(text);
        expect(shown).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
        expect(visible(shown)).toBe(shown);
      }),
    );
  });
});

describe('numbers', () => {
  it.each([
    [formatCount, 1_234_567, '1,234,567'],
    [formatNumber, 0, '0'],
    [formatNumber, 0.0266, '0.027'],
    [formatNumber, 12.34, '12.3'],
    [formatNumber, 1234.5, '1,235'],
    [formatBytes, 0, '0 B'],
    [formatBytes, 1023, '1 KiB'],
    [formatBytes, 12_800, '12.5 KiB'],
    [formatBytes, 3.25 * 2 ** 30, '3.25 GiB'],
    [formatBytes, 2 ** 70, '1,048,576 PiB'],
    [formatMs, 0.04, '0 ms'],
    [formatMs, 12.34, '12.3 ms'],
    [formatMs, 1500, '1.5 s'],
    [formatShare, 0.125, '12.5%'],
    [formatSpan, 999, '0s'],
    [formatSpan, 306_000, '5m 6s'],
    [formatSpan, 273_600_000, '3d 4h'],
  ] as const)('%o of %d is %s', (format, value, text) => {
    expect(format(value)).toBe(text);
    expect(format(Number.NaN)).toBe('–');
  });
});

describe('formatTime', () => {
  it('tells the date only if it is another day', () => {
    const now = new Date(2026, 10, 22, 12, 0, 0);
    expect(formatTime(new Date(2026, 10, 22, 9, 5, 7).getTime(), now)).toBe('09:05:07');
    expect(formatTime(new Date(2026, 10, 21, 9, 5, 7).toISOString(), now)).toBe('2026-11-21 09:05:07');
    expect(formatTime(undefined)).toBe('–');
    expect(formatTime('soon')).toBe('–');
  });
});

test('formatFields shows words as they are, and all else as JSON', () => {
  const fields = { service: 'echo', text: 'two words', quote: 'a"b', empty: '', list: [1, 'x'], none: null };
  expect(formatFields(fields)).toBe('service=echo text="two words" quote="a\\"b" empty="" list=[1,"x"] none=null');
});
