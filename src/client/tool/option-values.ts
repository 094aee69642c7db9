import { InvalidArgumentError } from 'commander';
import { parseDuration, parseSize } from '../../units.ts';

/** In whole days, what a timer of Node's can hold. */
const maxDurationMs = 24 * 86_400_000;

/** Parses `1500ms`, `10s` or `5m` as milliseconds, at least 1. */
export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1 || ms > maxDurationMs)
    throw new InvalidArgumentError('expected a duration with a unit, from 1ms to 24d, such as 500ms, 10s or 5m');
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
