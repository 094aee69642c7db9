import type { Rate } from './limits.ts';
import { SourceHash } from './source-hash.ts';

/**
 * A token bucket as a single number, the generic cell rate algorithm (ITU-T I.371): the time at which the bucket will
 * be full again. Each token moves it one interval ahead. It may be ahead of the clock by the time to refill all tokens
 * but one.
 */
interface Pace {
  readonly intervalMs: number;
  readonly toleranceMs: number;
}

// Makes a rate of 0 a bucket that never refills, instead of Infinity minus Infinity.
const longestIntervalMs = 1e12;

// In tokens. Rounding errors must not cost the last token of a burst.
const roundingSlack = 1e-4;

/**
 * What is further ahead of the clock than a bucket ever is was not written by it: whoever shares the memory may write
 * anything. The processes that share it read the time at slightly different moments.
 */
const clockSlackMs = 10_000;

/** When the bucket is full, which is now if the memory holds nothing that a bucket writes. */
function fullAt(writtenMs: number, nowMs: number, { intervalMs, toleranceMs }: Pace): number {
  // Also false for NaN.
  return writtenMs <= nowMs + toleranceMs + intervalMs + clockSlackMs ? Math.max(writtenMs, nowMs) : nowMs;
}

function paceOf({ perSecond, burst }: Rate): Pace {
  if (perSecond === Infinity) return { intervalMs: 0, toleranceMs: Infinity };
  const intervalMs = Math.min(1000 / perSecond, longestIntervalMs);
  return { intervalMs, toleranceMs: (burst - 1 + roundingSlack) * intervalMs };
}

/** A token bucket, full at first. Times are monotonic ms. An infinite rate never refuses, a burst below 1 always. */
export class TokenBucket {
  readonly #pace: Pace;
  readonly #fullAtMs: Float64Array;

  /** The memory, which may be shared, has one element, which is 0 at first. */
  constructor(rate: Rate, fullAtMs: Float64Array = new Float64Array(1)) {
    this.#pace = paceOf(rate);
    this.#fullAtMs = fullAtMs;
  }

  /** Whether `take` would succeed. */
  ready(nowMs: number): boolean {
    return fullAt(this.#fullAtMs[0]!, nowMs, this.#pace) - nowMs <= this.#pace.toleranceMs;
  }

  /** Takes a token. Returns false if there is none, without changing anything. */
  take(nowMs: number): boolean {
    if (!this.ready(nowMs)) return false;
    this.#fullAtMs[0] = fullAt(this.#fullAtMs[0]!, nowMs, this.#pace) + this.#pace.intervalMs;
    return true;
  }
}

/** Slots in each row of a token table. */
export const slotsOfRow = 16_384;

/**
 * Token buckets for any number of sources in constant memory. Each source has a slot in each of two rows, by a seeded
 * hash, and is refused only if both slots are exhausted. A flooding source therefore affects a given other source with
 * a probability of one in the square of the slots. No source ever gets more than its own bucket would allow.
 */
export class TokenTable {
  readonly #pace: Pace;
  readonly #fullAtMs: Float64Array;
  readonly #slots: number;
  readonly #hash: SourceHash;

  /** The memory, which may be shared, has two rows of slots: a power of two, at most 65,536. It holds 0 at first. */
  constructor(rate: Rate, hash: SourceHash, fullAtMs: Float64Array) {
    this.#pace = paceOf(rate);
    this.#slots = fullAtMs.length / 2;
    this.#fullAtMs = fullAtMs;
    this.#hash = hash;
  }

  /** For one process. `random` returns numbers from 0 up to, but not including, 1. */
  static own(rate: Rate, random: () => number, slots: number = slotsOfRow): TokenTable {
    return new TokenTable(rate, SourceHash.random(random), new Float64Array(2 * slots));
  }

  /** Takes a token of the source with this `SourceKey`. Returns false, changing nothing, if there is none. */
  take(high: number, low: number, nowMs: number, hostHigh: number = 0, hostLow: number = 0): boolean {
    const { intervalMs, toleranceMs } = this.#pace;
    const hash = this.#hash.of(high, low, hostHigh, hostLow);
    const first = hash & (this.#slots - 1);
    const second = this.#slots + ((hash >>> 16) & (this.#slots - 1));
    const firstFullAtMs = fullAt(this.#fullAtMs[first]!, nowMs, this.#pace);
    const secondFullAtMs = fullAt(this.#fullAtMs[second]!, nowMs, this.#pace);

    // The slot shared with fewer sources has the truer time. The other is only raised to it (conservative update).
    const fullAtMs = Math.min(firstFullAtMs, secondFullAtMs);
    if (fullAtMs - nowMs > toleranceMs) return false;
    const nextMs = fullAtMs + intervalMs;
    this.#fullAtMs[first] = Math.max(firstFullAtMs, nextMs);
    this.#fullAtMs[second] = Math.max(secondFullAtMs, nextMs);
    return true;
  }
}
