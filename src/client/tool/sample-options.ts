import type { Command } from 'commander';
import { mostFlows } from '../requests/flows.ts';
import { durationOption, wholeNumberOption } from './option-values.ts';

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

/** The parsed option of `withFlows`. */
export interface FlowOptions {
  readonly flows?: number;
}

/** Adds `--flows`. */
export function withFlows(command: Command): Command {
  const flows = wholeNumberOption(1, mostFlows);
  return command.option('--flows <n>', 'send from N source ports in turn, and report each', flows);
}
