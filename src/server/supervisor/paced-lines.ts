import type { Readable } from 'node:stream';
import type { Clock } from '../../clock/clock.ts';
import { LineBudget } from '../line-budget.ts';
import { readCostBytes } from './message-rate.ts';

/** None of our log lines is longer than this. */
const maxLineBytes = 256 * 1024;

/**
 * Splits a worker's output into complete lines, so that workers never interleave within a line. Returns a function that
 * takes the next text. `tooLong` is called for each discarded line.
 */
export function splitLines(whole: (line: string) => void, tooLong: () => void): (text: string) => void {
  let rest = '';
  /** Inside a line that is too long and is discarded. */
  let isSkipping = false;
  return (text) => {
    // A long line is not copied until its end comes.
    const parts = text.includes('\n') ? (rest + text).split('\n') : [rest + text];
    rest = parts.pop() ?? '';
    for (const line of parts) {
      if (!isSkipping) whole(`${line}\n`);
      isSkipping = false;
    }
    if (rest.length <= maxLineBytes) return;
    rest = '';
    if (!isSkipping) tooLong();
    isSkipping = true;
  };
}

/** How much of a child's output is read per second. A child that writes more must wait. */
export interface Pace {
  readonly linesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Reads lines of a child's output at a pace the supervisor can sustain. Calls `leftOut` for each line beyond it. */
export function readLines(
  stream: Readable | null,
  clock: Clock,
  { linesPerSecond, bytesPerSecond }: Pace,
  line: (line: string) => void,
  leftOut: () => void,
): void {
  let secondStartMs = Number.NEGATIVE_INFINITY;
  let lines = 0;
  let bytes = 0;
  const whole = (text: string): void => {
    lines += 1;
    if (lines > linesPerSecond) leftOut();
    else line(text);
  };
  const split = splitLines(whole, leftOut);
  stream?.setEncoding('utf8').on('data', (text: string) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - secondStartMs >= 1000) {
      secondStartMs = nowMs;
      lines = 0;
      bytes = 0;
    }
    bytes += text.length + readCostBytes;
    split(text);
    if (lines <= linesPerSecond && bytes <= bytesPerSecond) return;
    stream.pause();
    clock.after(secondStartMs + 1000 - nowMs, () => stream.resume());
  });
}

const complaintPace: Pace = { linesPerSecond: 1000, bytesPerSecond: 2 ** 20 };

/** Forwards what a child prints: 100 lines a second, 2000 characters each. `notLogged` counts those left out. */
export function readComplaints(
  stream: Readable | null,
  clock: Clock,
  complain: (complaint: { readonly output: string; readonly notLogged?: number }) => void,
): void {
  const budget = new LineBudget();
  const pass = (line: string): void => {
    if (!budget.take(clock.monotonicMs())) return;
    const notLogged = budget.takeLeftOut();
    complain({ output: line.trimEnd().slice(0, 2000), ...(notLogged > 0 && { notLogged }) });
  };
  readLines(stream, clock, complaintPace, pass, () => budget.leaveOut());
}
