import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '../clock/clock.ts';

/** How one process is doing. */
export interface ProcessHealth {
  /**
   * The longest time, in the last second or since it was last asked, that the event loop was late: what a client may
   * have waited.
   */
  readonly lagMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
}

/** Milliseconds between the samples of the event loop: a timer that often, whatever else there is to do. */
const resolutionMs = 50;

/** Who asks so soon after another is told the same: a probe takes no figure away from who comes next. */
const sameFigureMs = 500;

/** Measures the process it lives in. */
export class HealthMeter {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });
  readonly #clock: Clock;
  #takenMs = Number.NEGATIVE_INFINITY;
  #lagMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#delay.enable();
  }

  take(): ProcessHealth {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#takenMs >= sameFigureMs) {
      // The histogram holds the whole interval in nanoseconds, the wanted part of it, too; empty, its maximum is 0.
      this.#lagMs = Math.max(0, this.#delay.max / 1e6 - resolutionMs);
      this.#delay.reset();
      this.#takenMs = nowMs;
    }
    const { rss, heapUsed } = process.memoryUsage();
    return { lagMs: this.#lagMs, residentBytes: rss, heapBytes: heapUsed };
  }
}
