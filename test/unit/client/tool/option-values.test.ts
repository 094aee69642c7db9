import { describe, expect, test } from 'vitest';
import { durationOption, sizeOption, wholeNumberOption } from '../../../../src/client/tool/option-values.ts';

const usage = (message: string): unknown => expect.objectContaining({ code: 'commander.invalidArgument', message });

describe('durationOption', () => {
  test.each([
    ['1ms', 1],
    ['500ms', 500],
    ['10s', 10_000],
    ['5m', 300_000],
    ['24d', 2_073_600_000],
    ['5', 5000],
    ['0.2', 200],
    ['.2', 200],
    ['0.001', 1],
    ['1.5s', 1500],
    ['0.5ms', 1],
    ['0.1h', 360_000],
  ])('parses %s as %d ms', (text, ms) => {
    expect(durationOption(text)).toBe(ms);
  });

  // A timer of Node's is no longer than 2^31 - 1 ms.
  test.each([
    '',
    '0',
    '0.0001',
    '.',
    '5.',
    '1e3',
    '-1',
    '1,5',
    '0s',
    '-1s',
    '1 s',
    's',
    '1S',
    '25d',
    '2073601',
    '99999999999d',
  ])('rejects %j', (text) => {
    expect(() => durationOption(text)).toThrow(
      usage('expected a duration from 1ms to 24d, such as 0.5 (seconds), 500ms, 10s or 5m'),
    );
  });
});

describe('sizeOption', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['64KiB', 65_536],
    ['1GiB', 2 ** 30],
  ])('parses %s as %d bytes', (text, bytes) => {
    expect(sizeOption(text)).toBe(bytes);
  });

  test.each(['', '-1', '1.5', '1kB', '64 KiB', '999999999TiB'])('rejects %j', (text) => {
    expect(() => sizeOption(text)).toThrow(usage('expected a size in bytes, such as 512, 64KiB or 1GiB'));
  });
});

describe('wholeNumberOption', () => {
  test.each([
    [1, 9, '1', 1],
    [1, 9, '9', 9],
    [0, 255, '007', 7],
    [0, undefined, '9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('from %s to %s accepts %s', (least, most, text, value) => {
    expect(wholeNumberOption(least, most)(text)).toBe(value);
  });

  test.each(['', '0', '10', '-1', '1.0', '1e0', '0x1', ' 1', '٣'])('from 1 to 9 rejects %j', (text) => {
    expect(() => wholeNumberOption(1, 9)(text)).toThrow(usage('expected a whole number from 1 to 9'));
  });

  test.each(['0', '9007199254740993', '99999999999999999'])('from 1 with no maximum rejects %s', (text) => {
    expect(() => wholeNumberOption(1)(text)).toThrow(usage('expected a whole number of at least 1'));
  });
});
