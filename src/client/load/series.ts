import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** What happened in one second of a load. */
export interface LoadSecond {
  /** Counted from 0. */
  readonly second: number;
  readonly answered: number;
  readonly failed: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Of the response times. Undefined if nothing was answered. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

const nsOfMs = 1_000_000;

/** The course of a load, second by second: at most 3600, since no load is longer than an hour. */
export class LoadSeries {
  readonly seconds: LoadSecond[] = [];
  readonly #startMs: number;
  readonly #completed: ((second: LoadSecond) => void) | undefined;
  /** Of the current second, in nanoseconds. */
  readonly #histogram: RecordableHistogram = createHistogram();
  #endMs: number;
  #answered = 0;
  #failed = 0;
  #bytesSent = 0;
  #bytesReceived = 0;

  /** `completed` is called with each second when it is over. */
  constructor(startMs: number, completed?: (second: LoadSecond) => void) {
    this.#startMs = startMs;
    this.#endMs = startMs + 1000;
    this.#completed = completed;
  }

  answered(nowMs: number, responseMs: number): void {
    this.advance(nowMs);
    this.#answered += 1;
    this.#histogram.record(Math.max(1, Math.round(responseMs * nsOfMs)));
  }

  failed(nowMs: number): void {
    this.advance(nowMs);
    this.#failed += 1;
  }

  /** Counted in the second in which the next event is, or the next call of `advance`. */
  moved(sentBytes: number, receivedBytes: number): void {
    this.#bytesSent += sentBytes;
    this.#bytesReceived += receivedBytes;
  }

  /** Completes the seconds that are over. */
  advance(nowMs: number): void {
    while (nowMs >= this.#endMs) this.#complete();
  }

  /** Completes the last second, which is shorter, if anything happened in it. */
  end(nowMs: number): void {
    this.advance(nowMs);
    if (this.#answered + this.#failed + this.#bytesSent + this.#bytesReceived > 0) this.#complete();
  }

  #complete(): void {
    const isAnswered = this.#answered > 0;
    const second: LoadSecond = {
      second: Math.round((this.#endMs - this.#startMs) / 1000) - 1,
      answered: this.#answered,
      failed: this.#failed,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      p50Ms: isAnswered ? this.#histogram.percentile(50) / nsOfMs : undefined,
      p99Ms: isAnswered ? this.#histogram.percentile(99) / nsOfMs : undefined,
    };
    this.#endMs += 1000;
    this.#answered = 0;
    this.#failed = 0;
    this.#bytesSent = 0;
    this.#bytesReceived = 0;
    this.#histogram.reset();
    this.seconds.push(second);
    this.#completed?.(second);
  }
}
