import type { Clock } from '../clock/clock.ts';
import { LineBudget, linesPerSecond } from './line-budget.ts';
import type { Log } from '../service.ts';

export type LogLevel = keyof Log;

/** A log that reports whether a level is enabled. */
export interface LeveledLog extends Log {
  isLevelEnabled(level: LogLevel): boolean;
}

/** The part of the budget reserved for major lines: strangers can cause any number of minor ones. */
const keptPart = 1 / 5;

/** One reserved line and one for minor lines, regardless of the number of processes. */
const fewestLines = 2;

/**
 * The log of one service in one process. Every line that a stranger can cause goes through it, including the service's
 * own lines. Beyond 100 lines per second, across all processes of the service, lines are counted instead. Minor lines,
 * those of `debug` and `info`, leave a fifth of that to others. A disabled level costs nothing.
 */
export class BudgetedLog implements Log {
  /** For lines that are bounded in number: summaries of what was left out. */
  readonly unbudgeted: LeveledLog;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #budget: LineBudget;
  readonly #kept: number;
  #areMinor = true;

  /** `processes` is how many serve the service. Each writes its part of the lines. */
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
   * Spends one line of the budget before its fields are built, and returns the log to write it to at once. Returns
   * undefined if the level is disabled or the budget is spent. In the latter case the line is counted as left out.
   */
  take(level: LogLevel, isMinor: boolean = level === 'debug' || level === 'info'): Log | undefined {
    if (!this.unbudgeted.isLevelEnabled(level)) return undefined;
    if (this.#budget.take(this.#clock.monotonicMs(), isMinor ? this.#kept : 0)) return this.unbudgeted;
    this.#areMinor &&= isMinor;
    return undefined;
  }

  /** Returns the number of lines left out since the last call, and whether all of them were minor. */
  takeLeftOut(): { readonly lines: number; readonly areMinor: boolean } {
    const areMinor = this.#areMinor;
    this.#areMinor = true;
    return { lines: this.#budget.takeLeftOut(), areMinor };
  }
}
