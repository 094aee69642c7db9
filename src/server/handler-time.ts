import type { Clock } from '../clock/clock.ts';

/** Upper bounds of the buckets, in nanoseconds: 1, 2 and 5 of each power of ten from 1 µs to 1 s. */
export const handlerTimeBoundsNs: readonly number[] = [
  1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9,
];

/** How long timed calls of a service took. */
export type HandlerTime = ReturnType<typeof newHandlerTime>;

export function newHandlerTime() {
  return {
    /** Calls up to each bound and above the one before. The last is for longer ones. */
    buckets: [...handlerTimeBoundsNs, Number.POSITIVE_INFINITY].map(() => 0),
    sumNs: 0,
  };
}

/** One in this many calls is timed. It is prime, so that no batch and no protocol keeps step with it. */
const samplePeriod = 61;

/** Times some calls of a service, beginning with the first. The times are those of all calls, but not their number. */
export class HandlerTimer {
  readonly #time: HandlerTime;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #left = 0;

  constructor(time: HandlerTime, clock: Pick<Clock, 'monotonicMs'>) {
    this.#time = time;
    this.#clock = clock;
  }

  /** To be called before the service is. Returns what `end` takes: the time, or -1 if this call is not timed. */
  begin(): number {
    if (this.#left > 0) {
      this.#left -= 1;
      return -1;
    }
    this.#left = samplePeriod - 1;
    return this.#clock.monotonicMs();
  }

  /** To be called after it has returned. A call that throws is not recorded. */
  end(beganMs: number): void {
    if (beganMs < 0) return;
    const tookNs = Math.max(0, Math.round((this.#clock.monotonicMs() - beganMs) * 1e6));
    const time = this.#time;
    let bucket = 0;
    while (bucket < handlerTimeBoundsNs.length && tookNs > handlerTimeBoundsNs[bucket]!) bucket += 1;
    time.buckets[bucket]! += 1;
    // A larger number would not be a valid report.
    time.sumNs = Math.min(time.sumNs + tookNs, Number.MAX_SAFE_INTEGER);
  }
}
