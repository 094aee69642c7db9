import { systemClock } from '../../clock/clock.ts';
import type { Outcome } from '../../outcomes.ts';
import { triedAddresses } from './failure.ts';
import type { ToolTarget } from './targets.ts';
import type { Terminal } from './terminal.ts';
import { printJsonLine } from './tool.ts';

/** What a line tells of: one request, or in the last line of a target, the run. */
export type LineType = 'reply' | 'lost' | 'corrupted' | 'error' | 'summary';

/** The JSON of a tool that sends many requests: a line for each one as it is answered or given up, then a summary. */
export class JsonLines {
  readonly #terminal: Terminal;
  readonly #target: ToolTarget;
  readonly #isQuiet: boolean;

  /** If it is quiet, only the summary is printed. */
  constructor(terminal: Terminal, target: ToolTarget, isQuiet: boolean) {
    this.#terminal = terminal;
    this.#target = target;
    this.#isQuiet = isQuiet;
  }

  event(type: Exclude<LineType, 'summary'>, fields: object): void {
    if (this.#isQuiet) return;
    printJsonLine(this.#terminal, { type, time: systemClock.now(), target: this.#target.host, ...fields });
  }

  /** `error` says what is wrong, in words. */
  summary(outcome: Outcome, error: string | undefined, result: object): void {
    const { host, attempts } = this.#target;
    const addresses = triedAddresses(attempts, outcome);
    printJsonLine(this.#terminal, { type: 'summary', outcome, error, target: host, addresses, ...result });
  }
}
