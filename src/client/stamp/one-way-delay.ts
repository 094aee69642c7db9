/** The delay in one direction. Clocks that differ by more than the delay make it negative. */
export interface OneWaySummary {
  readonly count: number;
  readonly minMs: number;
  readonly meanMs: number;
  readonly maxMs: number;
}

/** Smooths the jitter: RFC 3550 section 6.4.1. */
const smoothing = 16;

/** The interarrival jitter of RFC 3550 section 6.4.1. Clocks that differ do not falsify it. */
export class Jitter {
  #jitterMs = 0;
  #lastMs: number | undefined;
  #isKnown = false;

  /** Takes the difference between two times of a packet: when it was sent, and when it arrived. */
  record(transitMs: number): void {
    if (this.#lastMs !== undefined) {
      this.#jitterMs += (Math.abs(transitMs - this.#lastMs) - this.#jitterMs) / smoothing;
      this.#isKnown = true;
    }
    this.#lastMs = transitMs;
  }

  /** Undefined until two packets have arrived. */
  get ms(): number | undefined {
    return this.#isKnown ? this.#jitterMs : undefined;
  }
}

/** Summarizes the delays in one direction. */
export class OneWayDelay {
  #count = 0;
  #sumMs = 0;
  #minMs = Infinity;
  #maxMs = -Infinity;

  record(ms: number): void {
    this.#count += 1;
    this.#sumMs += ms;
    this.#minMs = Math.min(this.#minMs, ms);
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  /** Undefined if nothing was recorded. */
  summary(): OneWaySummary | undefined {
    if (this.#count === 0) return undefined;
    return { count: this.#count, minMs: this.#minMs, meanMs: this.#sumMs / this.#count, maxMs: this.#maxMs };
  }
}
