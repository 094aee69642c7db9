import type { Clock } from '../clock/clock.ts';
import { LineBudget, linesPerSecond } from './line-budget.ts';
import type { Log } from '../service.ts';

export type LogLevel = keyof Log;

/** A log that tells whether it writes lines of a level. */
export interface LeveledLog extends Log {
  isLevelEnabled(level: LogLevel): boolean;
}

/** The part of a budget that minor lines leave to others: strangers can cause as many of those as they like. */
const keptPart = 1 / 5;

/** So that one is kept, and one left for minor lines, however many processes there are. */
const fewestLines = 2;

/**
 * The log of one service in one process: every line that a stranger can cause goes through it, the service's own lines
 * too. Past 100 lines a second, in all processes of the service together, lines are counted instead. Minor ones, which
 * are those of `debug` and `info`, leave a fifth of that to others. A level that is off costs nothing.
 */
export class BudgetedLog implements Log {
  /** For lines that are bounded by themselves: summaries of what was left out. */
  readonly unbudgeted: LeveledLog;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #budget: LineBudget;
  readonly #kept: number;

  /** `processes`: how many serve the service; each writes its part of the lines. */
  constructor(log: LeveledLog, clock: Pick<Clock, 'monotonicMs'>, processes: number) {
    this.unbudgeted = log;
    this.#clock = clock;
    const lines = Math.max(fewestLines, Math.ceil(linesPerSecond / processes));
    this.#budget = new LineBudget(lines);
    this.#kept = Math.ceil(lines * keptPart);
  }

  debug(fields: object, message: string): void {
    this.take('debug')?.debug(fields, message);
  }

  info(fields: object, message: string): void {
    this.take('info')?.info(fields, message);
  }

  warn(fields: object, message: string): void {
    this.take('warn')?.warn(fields, message);
  }

  error(fields: object, message: string): void {
    this.take('error')?.error(fields, message);
  }

  /**
   * Spends one line of the budget, before its fields are made: the log to write it to, at once. Undefined where the
   * level is off, or the budget spent; the latter counts the line as left out.
   */
  take(level: LogLevel, isMinor: boolean = level === 'debug' || level === 'info'): Log | undefined {
    if (!this.unbudgeted.isLevelEnabled(level)) return undefined;
    return this.#budget.take(this.#clock.monotonicMs(), isMinor ? this.#kept : 0) ? this.unbudgeted : undefined;
  }

  /** The lines that the budget left out since the last call. */
  takeLeftOut(): number {
    return this.#budget.takeLeftOut();
  }
}
