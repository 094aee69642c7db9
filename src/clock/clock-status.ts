import type { Clock } from './clock.ts';

/** How long what was read is believed. */
const readPeriodMs = 1000;

/**
 * The error of a clock of which nothing is known, or which is not synchronized, in microseconds: the kernel's own
 * limit, NTP_PHASE_LIMIT in linux/timex.h.
 */
const unknownErrorUs = 16_000_000;

/** What the system tells of its wall clock. */
export interface ClockReading {
  /** Whether something keeps it in step with UTC. */
  readonly isSynchronized: boolean;
  /** Microseconds; 0 if nobody estimates it, as with systemd-timesyncd. */
  readonly estimatedErrorUs: number;
  /** Microseconds, 0 or more. The system lets it grow between two corrections. */
  readonly maximumErrorUs: number;
}

/**
 * Whether the wall clock is synchronized with UTC, and how wrong it may be. Asks the system at most once a second. If
 * the system tells nothing, the clock counts as not synchronized.
 */
export class ClockStatus {
  readonly #read: () => ClockReading | undefined;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #isKnown = false;
  #isSynchronized = false;
  #errorUs = unknownErrorUs;

  constructor(read: () => ClockReading | undefined, clock: Pick<Clock, 'monotonicMs'>) {
    this.#read = read;
    this.#clock = clock;
  }

  /** Whether the system tells anything. */
  get isKnown(): boolean {
    this.#refresh();
    return this.#isKnown;
  }

  get isSynchronized(): boolean {
    this.#refresh();
    return this.#isSynchronized;
  }

  /** Microseconds, from 0 to 16 seconds: the estimate if there is one, else the most that the error can be. */
  get errorUs(): number {
    this.#refresh();
    return this.#errorUs;
  }

  #refresh(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#readAtMs < readPeriodMs) return;
    this.#readAtMs = nowMs;
    const reading = this.#read();
    this.#isKnown = reading !== undefined;
    this.#isSynchronized = reading?.isSynchronized ?? false;
    this.#errorUs = this.#isSynchronized && reading !== undefined ? errorOf(reading) : unknownErrorUs;
  }
}

function errorOf({ estimatedErrorUs, maximumErrorUs }: ClockReading): number {
  return Math.min(estimatedErrorUs > 0 ? estimatedErrorUs : maximumErrorUs, unknownErrorUs);
}
