import { type Clock, systemClock } from '../../clock/clock.ts';
import type { Outcome } from '../../outcomes.ts';

/** One address that was tried. */
export interface Attempt {
  /** Without brackets. An IPv6 address may have a zone. */
  readonly address: string;
  /** Undefined if it was given up because another address was faster. */
  readonly outcome: Outcome | undefined;
  /** Milliseconds from the beginning of the attempt to its end. */
  readonly elapsedMs: number;
}

/** A name has a handful of addresses. A bound for a resolver that makes them up. */
const mostAttempts = 1000;

interface Begun {
  readonly address: string;
  readonly beganMs: number;
  ended?: { readonly outcome: Outcome | undefined; readonly ms: number };
}

/** Records which addresses were tried, so that a program can report it, whatever the end. */
export class Attempts {
  readonly #clock: Clock;
  readonly #attempts: Begun[] = [];

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Returns a function to call at the end of the attempt. Only its first call counts. */
  begin(address: string): (outcome: Outcome | undefined) => void {
    const attempt: Begun = { address, beganMs: this.#clock.monotonicMs() };
    if (this.#attempts.length < mostAttempts) this.#attempts.push(attempt);
    return (outcome) => {
      attempt.ended ??= { outcome, ms: this.#clock.monotonicMs() };
    };
  }

  /** All attempts in the order of their beginning. Those that have not ended get the outcome of the run. */
  list(outcome: Outcome): readonly Attempt[] {
    const nowMs = this.#clock.monotonicMs();
    return this.#attempts.map(({ address, beganMs, ended = { outcome, ms: nowMs } }) => ({
      address,
      outcome: ended.outcome,
      elapsedMs: ended.ms - beganMs,
    }));
  }
}
