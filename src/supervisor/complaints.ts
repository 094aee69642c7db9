import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import { LineBudget } from '../line-budget.ts';
import { Lines } from './lines.ts';

/** Logs what a child prints on standard error, line by line, at most 100 of them a second: `message`, with `fields`. */
export function logComplaints(
  stream: Readable | null,
  clock: Clock,
  log: Logger,
  fields: object,
  message: string,
): void {
  const budget = new LineBudget();
  const complain = (line: string): void => {
    if (!budget.take(clock.monotonicMs())) return;
    const notLogged = budget.takeLeftOut();
    const complaint = { ...fields, stderr: line.trimEnd().slice(0, 2000) };
    log.error(notLogged === 0 ? complaint : { ...complaint, notLogged }, message);
  };
  const lines = new Lines(complain, () => budget.leaveOut());
  stream?.setEncoding('utf8').on('data', (text: string) => lines.write(text));
}
