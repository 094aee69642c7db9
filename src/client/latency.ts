import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Summary of repeated measurements, in milliseconds with three significant figures. */
export interface LatencySummary {
  readonly count: number;
  readonly minMs: number;
  readonly meanMs: number;
  /** The standard deviation. */
  readonly deviationMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  /** The 99.9th percentile. */
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** The number of values greater than `aboveMs` and at most `toMs`. */
export interface LatencyBucket {
  readonly aboveMs: number;
  readonly toMs: number;
  readonly count: number;
}

/** Ten steps per decade, each about a quarter more (ISO 3, series R10). */
const steps = [1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8] as const;
/** From a microsecond to a thousand seconds. */
const decades = 9;
/** The upper bound of each bucket except the last, which has none. */
const boundsMs = Float64Array.from(
  Array.from({ length: decades }, (_decade, decade) => steps.map((step) => (step * 10 ** decade) / 1000)).flat(),
);

const nsOfMs = 1_000_000;
/** More than a hundred days: the histogram holds safe integers. */
const mostMs = Math.floor(Number.MAX_SAFE_INTEGER / nsOfMs);

/** Records latencies in constant memory. */
export class Latency {
  /** In nanoseconds. It cannot hold 0. */
  readonly #histogram: RecordableHistogram = createHistogram();
  readonly #counts = new Float64Array(boundsMs.length + 1);
  #count = 0;
  #sumMs = 0;
  #sumOfSquares = 0;
  #minMs = Infinity;
  #maxMs = 0;

  /** Values below 0 count as 0, and huge ones as a hundred days. NaN is ignored. */
  record(latencyMs: number): void {
    if (Number.isNaN(latencyMs)) return;
    const ms = Math.min(mostMs, Math.max(0, latencyMs));
    this.#histogram.record(Math.max(1, Math.round(ms * nsOfMs)));
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sumMs += ms;
    this.#sumOfSquares += ms * ms;
    if (ms < this.#minMs) this.#minMs = ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  get count(): number {
    return this.#count;
  }

  /** `percent` is above 0 and at most 100. Returns 0 if nothing was recorded. */
  percentileMs(percent: number): number {
    if (this.#count === 0) return 0;
    // The histogram rounds up, but no percentile may exceed the observed range.
    return Math.min(this.#maxMs, Math.max(this.#minMs, this.#histogram.percentile(percent) / nsOfMs));
  }

  /** Undefined if nothing was recorded. */
  summary(): LatencySummary | undefined {
    if (this.#count === 0) return undefined;
    const meanMs = this.#sumMs / this.#count;
    return {
      count: this.#count,
      minMs: this.#minMs,
      meanMs,
      deviationMs: Math.sqrt(Math.max(0, this.#sumOfSquares / this.#count - meanMs * meanMs)),
      p50Ms: this.percentileMs(50),
      p90Ms: this.percentileMs(90),
      p99Ms: this.percentileMs(99),
      p999Ms: this.percentileMs(99.9),
      maxMs: this.#maxMs,
    };
  }

  /** The buckets from the first to the last that are not empty. */
  distribution(): readonly LatencyBucket[] {
    const first = this.#counts.findIndex((count) => count > 0);
    const last = this.#counts.findLastIndex((count) => count > 0);
    if (first < 0) return [];
    return Array.from(this.#counts.subarray(first, last + 1), (count, offset) => ({
      aboveMs: boundsMs[first + offset - 1] ?? 0,
      toMs: boundsMs[first + offset] ?? this.#maxMs,
      count,
    }));
  }
}

/** The first bucket whose upper bound is at least `ms`. */
function bucketOf(ms: number): number {
  let low = 0;
  let high = boundsMs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((boundsMs[middle] ?? Infinity) >= ms) high = middle;
    else low = middle + 1;
  }
  return low;
}
