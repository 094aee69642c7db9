import type { Cancel, Clock } from '../../clock/clock.ts';
import { type Activity, isHung, isOverdue, lengthen, noSilence, tickPeriodMs } from './silence.ts';

export interface SilenceWatchOptions {
  readonly clock: Clock;
  /** How long the process may be silent while it is able to report, in milliseconds. */
  readonly patienceMs: number;
  /** Returns what the process has done; undefined if unknown. */
  readonly activity: () => Activity | undefined;
  /** Called once, when the process is hung. */
  readonly hung: () => void;
}

/** Waits for a process to report. One that is starved gets more time. */
export class SilenceWatch {
  readonly #cancel: Cancel;
  readonly #options: SilenceWatchOptions;
  #silence = noSilence;
  #lookedMs: number;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
    const { clock } = options;
    this.#lookedMs = clock.monotonicMs();
    this.#cancel = clock.every(tickPeriodMs, () => this.#look());
  }

  /** The process has reported. */
  heard(): void {
    this.#silence = noSilence;
    this.#lookedMs = this.#options.clock.monotonicMs();
  }

  cancel(): void {
    this.#cancel();
  }

  #look(): void {
    const { clock, patienceMs, activity, hung } = this.#options;
    const nowMs = clock.monotonicMs();
    const seen = isOverdue(this.#silence) ? activity() : undefined;
    this.#silence = lengthen(this.#silence, nowMs - this.#lookedMs, seen);
    this.#lookedMs = nowMs;
    if (!isHung(this.#silence, patienceMs)) return;
    this.#cancel();
    hung();
  }
}
