import type { Clock } from './clock/clock.ts';
import { LineBudget, linesPerSecond } from './line-budget.ts';
import type { Log } from './service.ts';

export type LogLevel = keyof Log;

/** A log that tells whether it writes lines of a level. */
export interface LeveledLog extends Log {
  isLevelEnabled(level: LogLevel): boolean;
}

/**
 * The log of one service in one process: every line that a stranger can cause goes through it, the service's own lines too. Past 100 lines a second,
 * in all processes of the service together, lines are counted instead. A level that is off costs nothing of that.
 */
export class BudgetedLog implements Log {
  /** For lines that are bounded by themselves: summaries of what was left out. */
  readonly unbudgeted: Log;
  readonly #log: LeveledLog;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #budget: LineBudget;

  /** `processes`: how many serve the service; each writes its part of the lines. */
  constructor(log: LeveledLog, clock: Pick<Clock, 'monotonicMs'>, processes: number) {
    this.unbudgeted = log;
    this.#log = log;
    this.#clock = clock;
    this.#budget = new LineBudget(Math.ceil(linesPerSecond / processes));
  }

  debug(fields: object, message: string): void {
    if (this.#take('debug')) this.#log.debug(fields, message);
  }

  info(fields: object, message: string): void {
    if (this.#take('info')) this.#log.info(fields, message);
  }

  warn(fields: object, message: string): void {
    if (this.#take('warn')) this.#log.warn(fields, message);
  }

  error(fields: object, message: string): void {
    if (this.#take('error')) this.#log.error(fields, message);
  }

  /** Writes a line, whose fields are made only then; false where it is not written, because of its level or of the budget. */
  write(level: LogLevel, fields: () => object, message: string): boolean {
    if (!this.#take(level)) return false;
    this.#log[level](fields(), message);
    return true;
  }

  /** The lines that the budget left out since the last call. */
  takeLeftOut(): number {
    return this.#budget.takeLeftOut();
  }

  #take(level: LogLevel): boolean {
    return this.#log.isLevelEnabled(level) && this.#budget.take(this.#clock.monotonicMs());
  }
}
