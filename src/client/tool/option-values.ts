import { InvalidArgumentError } from 'commander';
import { parseDuration, parseSize } from '../../units.ts';

/** Parses `1500ms`, `10s` or `5m` as milliseconds, at least 1. */
export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1 || ms > 2 ** 31 - 1)
    throw new InvalidArgumentError('expected a duration of at least 1ms with a unit, such as 500ms, 10s or 5m');
  return ms;
}

/** Parses `512`, `64KiB` or `1GiB` as bytes. */
export function sizeOption(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined || !Number.isSafeInteger(bytes))
    throw new InvalidArgumentError('expected a size in bytes, such as 512, 64KiB or 1GiB');
  return bytes;
}

/** Returns a parser for integers in an inclusive range. */
export function wholeNumberOption(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`expected a whole number ${range}`);
  };
}
