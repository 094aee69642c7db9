import { InvalidArgumentError } from 'commander';
import { parseSize } from '../../units.ts';

/** In whole days, what a timer of Node's can hold. */
const maxDurationMs = 24 * 86_400_000;

const msOf = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, '': 1000 } as const;

/** Parses `0.2`, `10`, `500ms`, `1.5s` or `5m` as milliseconds, at least 1. Without a unit, it is in seconds. */
export function durationOption(text: string): number {
  const [, number, unit = ''] = /^(\d{1,12}(?:\.\d{1,9})?|\.\d{1,9})(ms|s|m|h|d|)$/.exec(text) ?? [];
  const ms = number === undefined ? 0 : Math.round(Number(number) * msOf[unit as keyof typeof msOf]);
  if (ms < 1 || ms > maxDurationMs)
    throw new InvalidArgumentError('expected a duration from 1ms to 24d, such as 0.5 (seconds), 500ms, 10s or 5m');
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

/** Parses a number of repetitions. 0 and `forever` are 0: until Ctrl-C. */
export function countOption(text: string): number {
  if (text === 'forever') return 0;
  try {
    return wholeNumberOption(0)(text);
  } catch {
    throw new InvalidArgumentError('expected a whole number, 0 or more, or forever');
  }
}

/** Returns a parser for what is done per second, such as `100` or `0.5`: more than 0, and up to `most`. */
export function rateOption(noun: string, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,7}(\.\d{1,6})?$/.test(text) ? Number(text) : 0;
    if (value > 0 && value <= most) return value;
    throw new InvalidArgumentError(`expected ${noun} per second, above 0 and up to ${most}, such as 1000 or 0.5`);
  };
}
