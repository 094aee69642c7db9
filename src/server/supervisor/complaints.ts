import type { Readable } from 'node:stream';
import type { Clock } from '../../clock/clock.ts';
import { LineBudget } from '../line-budget.ts';
import { type Pace, readLines } from './paced-lines.ts';

/** A line that a child wrote to standard error, and how many before it were left out. */
export interface Complaint {
  readonly stderr: string;
  readonly notLogged?: number;
}

const pace: Pace = { linesPerSecond: 1000, bytesPerSecond: 2 ** 20 };

/** Forwards a child's standard error: at most 100 lines per second, each of at most 2000 characters. */
export function readComplaints(stream: Readable | null, clock: Clock, complain: (complaint: Complaint) => void): void {
  const budget = new LineBudget();
  const pass = (line: string): void => {
    if (!budget.take(clock.monotonicMs())) return;
    const notLogged = budget.takeLeftOut();
    complain({ stderr: line.trimEnd().slice(0, 2000), ...(notLogged > 0 && { notLogged }) });
  };
  readLines(stream, clock, pace, pass, () => budget.leaveOut());
}
