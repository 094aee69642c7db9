import type { Cancel, Clock } from '../clock/clock.ts';
import { onAbort } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';

export interface RequestRunSettings {
  /** Number of requests, or 0 to continue until the signal aborts. */
  readonly count: number;
  /** Milliseconds from the start of one request to the next. */
  readonly intervalMs: number;
  /** Milliseconds to wait after the last request. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends numbered requests at intervals, and decides when the run is over: when all are answered, one timeout after the
 * last one, or when the signal aborts. Then it waits only twice the longest round trip so far for the last answer.
 */
export class RequestRun {
  readonly #settings: RequestRunSettings;
  /** Send times of requests that are neither answered nor late, oldest first. */
  readonly #unanswered = new Map<number, number>();
  #sent = 0;
  #answered = 0;
  #startMs = 0;
  #endMs = 0;
  /** Intervals from the start to the last request. */
  #slot = 0;
  #longestRttMs = 0;
  #isInterrupted = false;
  #isOver = false;
  #problem: SmallservdError | undefined;
  #cancel: Cancel = () => {};
  #send: (sequence: number) => Promise<void> = async () => {};
  #refused: (error: SmallservdError) => void = () => {};
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(settings: RequestRunSettings) {
    this.#settings = settings;
  }

  /** Requests sent so far. */
  get sent(): number {
    return this.#sent;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get elapsedMs(): number {
    return this.#endMs - this.#startMs;
  }

  /** Why the run ended early, unless the signal ended it. */
  get problem(): SmallservdError | undefined {
    return this.#problem;
  }

  /** Whether the signal ended the run before any request was late or answered. */
  get hasOnlyBegun(): boolean {
    return this.#isInterrupted && this.#unanswered.size === this.#sent;
  }

  /** The numbers of the requests that are neither answered nor late. */
  get unanswered(): Iterable<number> {
    return this.#unanswered.keys();
  }

  /**
   * Sends the first request now and the rest on schedule. Resolves when the run is over. `refused` learns of requests
   * that could not be sent (`CONNECT_FAILED`); any other error ends the run.
   */
  async start(
    send: (sequence: number) => Promise<void>,
    refused: (error: SmallservdError) => void = () => {},
  ): Promise<void> {
    const { signal, clock } = this.#settings;
    this.#send = send;
    this.#refused = refused;
    this.#startMs = clock.monotonicMs();
    this.#endMs = this.#startMs;
    const stopListening = onAbort(signal, () => this.#interrupt());
    try {
      await new Promise<void>((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        if (signal?.aborted === true) this.#interrupt();
        else this.#sendNext();
      });
    } finally {
      this.#cancel();
      stopListening();
    }
  }

  /** Takes a correct answer. The last one ends the run. */
  answered(sequence: number, rttMs: number, isDuplicate: boolean): void {
    const { count } = this.#settings;
    this.#unanswered.delete(sequence);
    if (!isDuplicate) this.#answered += 1;
    this.#longestRttMs = Math.max(this.#longestRttMs, rttMs);
    const isLast = this.#isInterrupted ? sequence === this.#sent - 1 : this.#answered === count && count > 0;
    if (isLast) this.end();
  }

  /** Drops old requests, so that an answer without a header is not attributed to one of them. */
  forgetLate(): void {
    const { clock, timeoutMs } = this.#settings;
    const earliestMs = clock.monotonicMs() - timeoutMs;
    for (const [sequence, sentAtMs] of this.#unanswered) {
      if (sentAtMs >= earliestMs) return;
      this.#unanswered.delete(sequence);
    }
  }

  /** Ends the run, with the error as the problem if there is one. Any but ours rejects `start`. */
  end(error?: unknown): void {
    if (this.#isOver) return;
    if (error !== undefined && !(error instanceof SmallservdError)) return this.fail(error);
    this.#problem = error;
    this.#isOver = true;
    this.#endMs = this.#settings.clock.monotonicMs();
    this.#resolve();
  }

  /** Ends the run without a result: `start` rejects. */
  fail(error: unknown): void {
    this.#isOver = true;
    this.#reject(error);
  }

  #interrupt(): void {
    const sentAtMs = this.#unanswered.get(this.#sent - 1);
    const leftMs = (sentAtMs ?? -Infinity) + 2 * this.#longestRttMs - this.#settings.clock.monotonicMs();
    this.#isInterrupted = true;
    this.forgetLate();
    if (leftMs <= 0) return this.end();
    this.#cancel();
    this.#cancel = this.#settings.clock.after(leftMs, () => this.end());
  }

  #sendNext(): void {
    const sequence = this.#sent;
    this.#sent += 1;
    this.forgetLate();
    this.#unanswered.set(sequence, this.#settings.clock.monotonicMs());
    this.#send(sequence).then(
      () => this.#schedule(),
      (error: unknown) => {
        if (!(error instanceof SmallservdError) || error.code !== 'CONNECT_FAILED') return this.end(error);
        this.#refused(error);
        this.#schedule();
      },
    );
  }

  #schedule(): void {
    if (this.#isOver || this.#isInterrupted) return;
    const { clock, count, intervalMs, timeoutMs } = this.#settings;
    if (this.#sent === count) {
      this.#cancel = clock.after(timeoutMs, () => this.end());
      return;
    }
    // Slots count from the start, so a late request does not delay the next. Missed ones are skipped, without a burst.
    const elapsedMs = clock.monotonicMs() - this.#startMs;
    this.#slot = Math.max(this.#slot + 1, Math.ceil(elapsedMs / intervalMs));
    this.#cancel = clock.after(Math.max(0, this.#slot * intervalMs - elapsedMs), () => this.#sendNext());
  }
}
