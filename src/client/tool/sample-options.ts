import type { Command } from 'commander';
import { durationOption } from './option-values.ts';

/** The parsed options of `withSamples`. */
export interface SampleOptions {
  readonly count?: number;
  readonly interval?: number;
  readonly deadline?: number;
  readonly quiet?: true;
  readonly timestamps?: true;
}

/** Adds `--count`, `--interval`, `--deadline`, `--quiet` and `--timestamps`, with the letters that ping(8) has. */
export function withSamples(command: Command, count: string, parseCount: (text: string) => number): Command {
  return command
    .option('-c, --count <n>', count, parseCount)
    .option('-i, --interval <duration>', 'wait this long between requests (default: 1s)', durationOption)
    .option('-w, --deadline <duration>', 'end this long after the first request at the latest', durationOption)
    .option('-q, --quiet', 'do not print a line for each answer')
    .option('-D, --timestamps', 'begin each of these lines with the time, in seconds since 1970');
}
