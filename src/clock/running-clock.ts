import type { Cancel, Clock } from './clock.ts';

/** How often the clock looks whether the process runs. */
const lookPeriodMs = 500;

/** A longer time between two looks is a pause. A busy event loop is not one: its delays count. */
const longestGapMs = 3 * lookPeriodMs;

/**
 * Time in which this process runs. Pauses do not count: SIGSTOP, a frozen container, a halted virtual machine. After
 * one, nobody has missed a deadline that passed meanwhile. Its timers wait in the same time.
 */
export class RunningClock implements Clock {
  readonly #clock: Clock;
  readonly #cancelLooks: Cancel;
  #lookedMs: number;
  #pausedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lookedMs = clock.monotonicMs();
    this.#cancelLooks = clock.every(lookPeriodMs, () => this.monotonicMs());
  }

  monotonicMs(): number {
    const nowMs = this.#clock.monotonicMs();
    const gapMs = nowMs - this.#lookedMs;
    // Whoever asks first after a pause notices it, whichever timer comes first.
    if (gapMs > longestGapMs) this.#pausedMs += gapMs - lookPeriodMs;
    this.#lookedMs = nowMs;
    return nowMs - this.#pausedMs;
  }

  now(): Date {
    return this.#clock.now();
  }

  after(ms: number, task: () => void): Cancel {
    const dueMs = this.monotonicMs() + ms;
    let cancel: Cancel | undefined;
    const wait = (leftMs: number): void => {
      cancel = this.#clock.after(leftMs, () => {
        const stillMs = dueMs - this.monotonicMs();
        // Node's timers may be early by a fraction of a millisecond.
        if (stillMs >= 1) wait(stillMs);
        else task();
      });
    };
    wait(ms);
    return () => cancel?.();
  }

  every(ms: number, task: () => void): Cancel {
    return this.#clock.every(ms, task);
  }

  /** Stops looking. From then on long times without a query count as pauses. */
  stop(): void {
    this.#cancelLooks();
  }
}
