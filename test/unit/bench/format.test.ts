import { expect, test } from 'vitest';
import { cpu, digits, duration, percent, rate, size, spread, table } from '../../../bench/format.ts';

test.each([
  [123_456.7, '123,457'],
  [12.345, '12.3'],
  [1.2345, '1.23'],
  [Number.NaN, '–'],
])('%d has the digits %s', (value, expected) => {
  expect(digits(value)).toBe(expected);
});

test.each([
  [1, '1.00 B'],
  [1536, '1.50 KiB'],
  [5 * 2 ** 40, '5,120 GiB'],
])('%d bytes are %s', (value, expected) => {
  expect(size(value)).toBe(expected);
});

test('rates and CPU time are those of operations or of mebibytes', () => {
  expect(rate(101_234, 'operations')).toBe('101,234/s');
  expect(rate(2 ** 21, 'bytes')).toBe('2.00 MiB/s');
  expect(cpu(8.3e-6, 'operations')).toBe('8.30');
  expect(cpu(1e-9, 'bytes')).toBe('1,049');
});

test('times change to milliseconds', () => {
  expect(duration(999)).toBe('999 µs');
  expect(duration(1500)).toBe('1.50 ms');
  expect(percent(0.987)).toBe('99 %');
});

test('a spread shows the median and the range', () => {
  expect(spread({ median: 0.954, least: 0.9, most: 1.05, count: 5 })).toBe('0.95 (0.90–1.05)');
  expect(spread(undefined)).toBe('–');
});

test('a table is Markdown', () => {
  expect(table(['a', 'b'], [['1', '2']])).toBe('| a | b |\n| --- | ---: |\n| 1 | 2 |\n');
});
