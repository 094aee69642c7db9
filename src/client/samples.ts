import { type EchoPingEvent, type EchoPingOptions, type EchoPingResult, echoPing } from './echo-ping.ts';
import { type LoadOptions, type LoadResult, type LoadSecond, load } from './load.ts';
import { type PingEvent, type PingOptions, type PingResult, ping } from './ping.ts';
import { stamp } from './stamp.ts';
import type { StampEvent, StampOptions, StampResult } from './stamp/measurement.ts';

/** Samples that wait for the loop. After that, the oldest are dropped. */
const mostWaiting = 1024;

/** Starts a run that reports to `observe`. */
type Start<Sample, Result> = (observe: (sample: Sample) => void, signal: AbortSignal) => Promise<Result>;

/**
 * A run whose samples come one by one, for a single `for await` loop. It begins at once. Leaving the loop ends it. If
 * the run fails, so does the loop, with the error of the run.
 */
export class Samples<Sample, Result> implements AsyncIterable<Sample> {
  /** The result of the run, also of one that the signal or the end of the loop has ended early. */
  readonly result: Promise<Result>;
  readonly #abort = new AbortController();
  readonly #waiting: Sample[] = [];
  #dropped = 0;
  #isOver = false;
  #wake: () => void = () => {};

  constructor(start: Start<Sample, Result>, signal: AbortSignal | undefined) {
    const own = this.#abort.signal;
    this.result = start((sample) => this.#add(sample), signal === undefined ? own : AbortSignal.any([signal, own]));
    const over = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    // Who waits for the result learns of its error. Others need not.
    this.result.then(over, over);
  }

  /** Samples that the loop was too slow for. */
  get dropped(): number {
    return this.#dropped;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Sample, void> {
    try {
      for (;;) {
        const sample = this.#waiting.shift();
        if (sample !== undefined) yield sample;
        else if (this.#isOver) break;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#abort.abort();
    }
    await this.result;
  }

  #add(sample: Sample): void {
    if (this.#waiting.length === mostWaiting) {
      this.#waiting.shift();
      this.#dropped += 1;
    }
    this.#waiting.push(sample);
    this.#wake();
  }
}

/** `echoPing` as a loop over its events. */
export function echoPingSamples(
  host: string,
  options: Omit<EchoPingOptions, 'observe'> = {},
): Samples<EchoPingEvent, EchoPingResult> {
  return new Samples(async (observe, signal) => echoPing(host, { ...options, observe, signal }), options.signal);
}

/** `ping` as a loop over its events. */
export function pingSamples(host: string, options: Omit<PingOptions, 'observe'> = {}): Samples<PingEvent, PingResult> {
  return new Samples(async (observe, signal) => ping(host, { ...options, observe, signal }), options.signal);
}

/** `stamp` as a loop over its events. */
export function stampSamples(
  host: string,
  options: Omit<StampOptions, 'observe'> = {},
): Samples<StampEvent, StampResult> {
  return new Samples(async (observe, signal) => stamp(host, { ...options, observe, signal }), options.signal);
}

/** `load` as a loop over its seconds. */
export function loadSamples(
  host: string,
  options: Omit<LoadOptions, 'onSecond'> = {},
): Samples<LoadSecond, LoadResult> {
  return new Samples(async (onSecond, signal) => load(host, { ...options, onSecond, signal }), options.signal);
}
