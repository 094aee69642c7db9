import type { Cancel, Clock } from '../../clock/clock.ts';
import { onAbort } from '../dial/wait.ts';
import { SmallservdError } from '../../errors.ts';
import { Flows, type FlowSummary } from './flows.ts';
import type { Outcome } from '../../outcomes.ts';
import type { RequestEvent } from './event.ts';
import { RoundTrips, type RoundTripSummary } from '../round-trips.ts';

export interface RequestRunSettings {
  /** Number of requests, or 0 to continue until the signal aborts. */
  readonly count: number;
  /** Milliseconds from the start of one request to the next. */
  readonly intervalMs: number;
  /** Milliseconds to wait after the last request. */
  readonly timeoutMs: number;
  /** Milliseconds from the first request to the end of the run at the latest. */
  readonly deadlineMs?: number | undefined;
  /** Source ports that take turns. Request N has the flow N modulo their number. */
  readonly flows: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly observe?: ((event: RequestEvent) => void) | undefined;
}

/** Makes and sends the requests of a run. */
export interface RequestSender {
  make(sequence: number): Buffer;
  /** Sends a request from the socket or connection of a flow, numbered from 0. */
  send(request: Buffer, sequence: number, flow: number): Promise<void>;
}

/**
 * Sends numbered requests at intervals, counts answers, and decides when the run is over: when all are answered, one
 * timeout after the last one, at the deadline, or when the signal aborts. Then it waits only twice the longest round
 * trip so far for the last answer, and at most the timeout.
 */
export class RequestRun {
  readonly #settings: RequestRunSettings;
  readonly #trips = new RoundTrips();
  /** If there is more than one. */
  readonly #flows: Flows | undefined;
  /** Flows refused before any datagram has arrived. */
  readonly #refusedFlows = new Set<number>();
  /** Send times of requests that are neither answered nor late, oldest first. */
  readonly #unanswered = new Map<number, number>();
  #sent = 0;
  #answered = 0;
  #startMs = 0;
  #endMs = 0;
  /** Intervals from the start to the last request. */
  #slot = 0;
  /** Of the first answers that were not late. */
  #longestRttMs = 0;
  /** Whether any datagram has arrived over UDP, valid or not. */
  #hasHeard = false;
  #isInterrupted = false;
  #isOver = false;
  /** When the next request is due. Undefined after the last. */
  #nextMs: number | undefined;
  #isLastSent = false;
  /** When to stop waiting after the last request. */
  #lastMs = 0;
  #problem: SmallservdError | undefined;
  /** The last refusal of a peer that had answered before. */
  #refusal: SmallservdError | undefined;
  #cancel: Cancel = () => {};
  #sender: RequestSender = { make: () => Buffer.alloc(0), send: async () => {} };
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(settings: RequestRunSettings) {
    this.#settings = settings;
    this.#flows = settings.flows === 1 ? undefined : new Flows(settings.flows);
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

  /** The requests of a flow that are neither answered nor late. Without flows, all. */
  *unansweredOf(flow: number): Generator<number, void> {
    for (const sequence of this.#unanswered.keys()) if (sequence % this.#settings.flows === flow) yield sequence;
  }

  /** Sends the first request now and the rest on schedule. Resolves when the run is over. */
  async start(sender: RequestSender): Promise<void> {
    const { signal, clock, deadlineMs } = this.#settings;
    this.#sender = sender;
    this.#startMs = clock.monotonicMs();
    this.#endMs = this.#startMs;
    const stopListening = onAbort(signal, () => this.#interrupt());
    const cancelDeadline =
      deadlineMs === undefined ? undefined : clock.after(deadlineMs, () => this.#giveUp(clock.monotonicMs()));
    try {
      await new Promise<void>((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        if (signal?.aborted === true) this.#interrupt();
        else this.#sendNext();
      });
    } finally {
      this.#cancel();
      cancelDeadline?.();
      stopListening();
    }
  }

  /** The source port of a flow. Undefined if it has no connection. */
  sendsFrom(flow: number, sourcePort: number | undefined): void {
    this.#flows?.sendsFrom(flow, sourcePort);
  }

  /** A connection failed or ended. The run goes on with the other flows, if there are any. */
  flowEnded(flow: number, error: unknown): void {
    if (this.#flows === undefined || !(error instanceof SmallservdError)) return this.end(error);
    this.#flows.failed(flow, error.message);
    this.#problem ??= error;
    if (this.#flows.isOver) this.end();
  }

  /** A datagram has arrived, valid or not. */
  heard(): void {
    this.#hasHeard = true;
    this.#forgetLate();
  }

  /** Undefined if no such request was sent recently. */
  sentAtMs(sequence: number): number | undefined {
    return this.#trips.sentAtMs(sequence);
  }

  /** Counts a correct answer. The last one ends the run. Undefined if no such request was sent recently. */
  received(sequence: number, atMs: number): { readonly rttMs: number; readonly isDuplicate: boolean } | undefined {
    const trip = this.#trips.received(sequence, atMs);
    if (trip === undefined) return undefined;
    this.#flows?.received(sequence, atMs);
    this.#unanswered.delete(sequence);
    if (!trip.isDuplicate) {
      this.#answered += 1;
      if (trip.rttMs <= this.#settings.timeoutMs) this.#longestRttMs = Math.max(this.#longestRttMs, trip.rttMs);
    }
    const isAllSent = this.#sent === this.#settings.count || this.#isLastSent;
    const isLast = this.#isInterrupted ? sequence === this.#sent - 1 : isAllSent && this.#answered === this.#sent;
    if (isLast) this.end();
    return trip;
  }

  /** Counts a wrong answer, to this request if it is known. */
  corrupted(flow: number, sequence: number | undefined): void {
    this.#trips.corrupted();
    this.#flows?.corrupted(flow);
    if (sequence !== undefined) this.#unanswered.delete(sequence);
  }

  /** ICMP reported that a datagram did not arrive. */
  refused(error: SmallservdError, flow: number): void {
    if (this.#isOver) return;
    if (!this.#hasHeard) {
      this.#refusedFlows.add(flow);
      if (this.#refusedFlows.size === this.#settings.flows) return this.#fail(error);
    }
    this.#refusal = error;
    const sequence = [...this.unansweredOf(flow)].at(-1);
    if (sequence !== undefined) this.#unanswered.delete(sequence);
    this.#settings.observe?.({ kind: 'refused', sequence, message: error.message, outcome: error.outcome });
  }

  /** Ends the run, with the error as the problem if there is one. Any but ours rejects `start`. */
  end(error?: unknown): void {
    if (this.#isOver) return;
    if (error !== undefined && !(error instanceof SmallservdError)) return this.#fail(error);
    this.#problem ??= error;
    this.#isOver = true;
    this.#endMs = this.#settings.clock.monotonicMs();
    this.#resolve();
  }

  summary(): RoundTripSummary {
    return this.#trips.summary();
  }

  /** By source port, if there is more than one. */
  flowSummaries(): readonly FlowSummary[] | undefined {
    return this.#flows?.summaries();
  }

  /** The outcome of a run that is not `ok`: what ended it, or how its requests ended. */
  fault(): Outcome {
    const { sent, corrupted } = this.#trips.summary();
    if (this.#problem !== undefined) return this.#problem.outcome;
    if (corrupted > 0) return 'wrong-answer';
    if (this.#refusal !== undefined) return this.#refusal.outcome;
    return this.#isInterrupted && this.#unanswered.size === sent ? 'interrupted' : 'timeout';
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    this.#reject(error);
  }

  #interrupt(): void {
    const { clock, timeoutMs } = this.#settings;
    const sentAtMs = this.#unanswered.get(this.#sent - 1) ?? -Infinity;
    const leftMs = sentAtMs + Math.min(timeoutMs, 2 * this.#longestRttMs) - clock.monotonicMs();
    this.#isInterrupted = true;
    this.#forgetLate();
    if (leftMs <= 0) return this.end();
    this.#cancel();
    this.#cancel = clock.after(leftMs, () => this.end());
  }

  #sendNext(): void {
    const sequence = this.#sent;
    const flow = sequence % this.#settings.flows;
    const request = this.#sender.make(sequence);
    const nowMs = this.#settings.clock.monotonicMs();
    this.#sent += 1;
    this.#forgetLate();
    this.#unanswered.set(sequence, nowMs);
    this.#trips.sent(sequence, nowMs);
    this.#flows?.sent(sequence, nowMs);
    this.#settings.observe?.({ kind: 'sent', sequence });
    // What a broken flow should carry is lost.
    if (this.#flows?.isOpen(sequence) === false) return this.#schedule();
    this.#sender.send(request, sequence, flow).then(
      () => this.#schedule(),
      (error: unknown) => {
        if (error instanceof SmallservdError && error.code === 'CONNECT_FAILED') this.refused(error, flow);
        else this.flowEnded(flow, error);
        this.#schedule();
      },
    );
  }

  #schedule(): void {
    if (this.#isOver || this.#isInterrupted) return;
    const { clock, count, intervalMs, timeoutMs, deadlineMs = Infinity } = this.#settings;
    const nowMs = clock.monotonicMs();
    // Slots count from the start, so a late request does not delay the next. Missed ones are skipped, without a burst.
    this.#slot = Math.max(this.#slot + 1, Math.ceil((nowMs - this.#startMs) / intervalMs));
    this.#isLastSent = this.#sent === count || this.#slot * intervalMs >= deadlineMs;
    this.#nextMs = this.#isLastSent ? undefined : this.#startMs + this.#slot * intervalMs;
    this.#lastMs = nowMs + timeoutMs;
    if (this.#isLastSent && this.#answered === this.#sent) this.end();
    else this.#wait();
  }

  /** Waits for the next request, the end, or the next request to be late. */
  #wait(): void {
    const { clock, timeoutMs } = this.#settings;
    const [oldestMs = Infinity] = this.#unanswered.values();
    const atMs = Math.min(this.#nextMs ?? this.#lastMs, oldestMs + timeoutMs);
    this.#cancel = clock.after(Math.max(0, atMs - clock.monotonicMs()), () => this.#wake());
  }

  #wake(): void {
    this.#forgetLate();
    const nowMs = this.#settings.clock.monotonicMs();
    // A timer may fire a fraction early.
    if (nowMs + 1 < (this.#nextMs ?? this.#lastMs)) this.#wait();
    else if (this.#nextMs === undefined) this.#giveUp();
    else this.#sendNext();
  }

  /** Ends the run, at the deadline or after the last timeout. What is still unanswered is lost. */
  #giveUp(nowMs = Infinity): void {
    if (this.#isOver) return;
    const { timeoutMs } = this.#settings;
    for (const [sequence, sentAtMs] of this.#unanswered) this.#silence(sequence, Math.min(timeoutMs, nowMs - sentAtMs));
    this.end();
  }

  #silence(sequence: number, waitedMs: number): void {
    this.#settings.observe?.({ kind: 'silence', sequence, waitedMs });
  }

  /** Drops old requests, so that an answer without a header is not attributed to one of them. */
  #forgetLate(): void {
    const { clock, timeoutMs } = this.#settings;
    const earliestMs = clock.monotonicMs() - timeoutMs;
    for (const [sequence, sentAtMs] of this.#unanswered) {
      if (sentAtMs > earliestMs) return;
      this.#unanswered.delete(sequence);
      this.#silence(sequence, timeoutMs);
    }
  }
}
