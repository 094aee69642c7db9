import { formatHostPort } from '../address/host-port.ts';
import type { Cancel } from '../clock/clock.ts';
import type { Endpoint } from './dial/connection.ts';
import { onAbort } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import type { Outcome } from '../outcomes.ts';
import { EchoPayloads, type Recognized } from './echo-payload.ts';
import type { EchoPingOptions } from './echo-options.ts';
import type { EchoPingResult } from './echo-result.ts';
import type { WithDefaults } from './options.ts';
import { Flows } from './flows.ts';
import { RoundTrips, type RoundTripSummary } from './round-trips.ts';

export type EchoRunSettings = WithDefaults<EchoPingOptions> & {
  readonly count: number;
  readonly sizeBytes: number;
  readonly intervalMs: number;
  readonly random: () => number;
  readonly flows: number;
};

/** Sends a request from the socket or connection of a flow, numbered from 0. */
type SendOnFlow = (payload: Uint8Array, flow: number) => Promise<void>;

/** One run of `echoPing`: sends requests on schedule, counts answers and decides when to stop. */
export class EchoRun {
  readonly #peer: Endpoint;
  readonly #settings: EchoRunSettings;
  readonly #payloads: EchoPayloads;
  readonly #trips = new RoundTrips();
  /** If there is more than one. */
  readonly #flows: Flows | undefined;
  /** Answers so far over each TCP connection. */
  readonly #messages: number[];
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
  #send: SendOnFlow = async () => {};
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(peer: Endpoint, settings: EchoRunSettings) {
    this.#peer = peer;
    this.#settings = settings;
    this.#payloads = new EchoPayloads(settings.sizeBytes, settings.random);
    this.#flows = settings.flows === 1 ? undefined : new Flows(settings.flows);
    this.#messages = Array.from({ length: settings.flows }, () => 0);
  }

  /** Sends the first request now and the rest on schedule. Resolves when the run is over. */
  async start(send: SendOnFlow): Promise<void> {
    const { signal, clock } = this.#settings;
    this.#send = send;
    this.#startMs = clock.monotonicMs();
    this.#endMs = this.#startMs;
    const stopListening = onAbort(signal, () => this.#interrupt());
    const { deadlineMs } = this.#settings;
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

  takeDatagram(bytes: Uint8Array, flow: number): void {
    this.#hasHeard = true;
    this.#forgetLate();
    this.#take(this.#payloads.recognize(bytes, this.#sent, this.#unansweredOf(flow)), bytes.length, flow);
  }

  /** An answer over TCP. Answer N of a connection belongs to its request N. */
  takeMessage(bytes: Uint8Array, flow: number): void {
    const count = this.#messages[flow] ?? 0;
    this.#messages[flow] = count + 1;
    const sequence = count * this.#settings.flows + flow;
    const before = count * bytes.length;
    if (sequence >= this.#sent) {
      this.#take({ kind: 'corrupted', sequence: undefined, offset: before }, bytes.length, flow);
      // Once a stream returns more than was sent, nothing after that can be trusted.
      const message = `${this.#name}: more came back than was sent`;
      return this.flowEnded(flow, new SmallservdError('ANSWER_WRONG', message));
    }
    const recognized = this.#payloads.compare(bytes, sequence);
    if (recognized.kind === 'right') this.#take(recognized, bytes.length, flow);
    else this.#take({ ...recognized, offset: before + recognized.offset }, bytes.length, flow);
  }

  peerClosed(flow: number): void {
    this.flowEnded(flow, new SmallservdError('CONNECTION_LOST', `${this.#name} closed the connection`));
  }

  /** ICMP reported that a datagram did not arrive. */
  refused(error: SmallservdError, flow: number): void {
    if (this.#isOver) return;
    if (!this.#hasHeard) {
      this.#refusedFlows.add(flow);
      if (this.#refusedFlows.size === this.#settings.flows) return this.#fail(error);
    }
    this.#refusal = error;
    const sequence = [...this.#unansweredOf(flow)].at(-1);
    if (sequence !== undefined) this.#unanswered.delete(sequence);
    this.#settings.observe?.({ kind: 'refused', sequence, message: error.message, outcome: error.outcome });
  }

  /** Ends the run, with the error as the problem if there is one. */
  end(error?: unknown): void {
    if (this.#isOver) return;
    if (error !== undefined && !(error instanceof SmallservdError)) return this.#fail(error);
    this.#problem ??= error;
    this.#isOver = true;
    this.#endMs = this.#settings.clock.monotonicMs();
    this.#resolve();
  }

  result(): EchoPingResult {
    const summary = this.#trips.summary();
    const isRight = summary.sent > 0 && summary.lost === 0 && summary.corrupted === 0 && this.#problem === undefined;
    return {
      peer: this.#peer,
      protocol: this.#settings.udp === true ? 'udp' : 'tcp',
      sizeBytes: this.#settings.sizeBytes,
      elapsedMs: this.#endMs - this.#startMs,
      ...summary,
      flows: this.#flows?.summaries(),
      problem: this.#problem?.message,
      isRight,
      outcome: isRight ? 'ok' : this.#faultOf(summary),
    };
  }

  #faultOf({ sent, corrupted }: RoundTripSummary): Outcome {
    if (this.#problem !== undefined) return this.#problem.outcome;
    if (corrupted > 0) return 'wrong-answer';
    if (this.#refusal !== undefined) return this.#refusal.outcome;
    return this.#isInterrupted && this.#unanswered.size === sent ? 'interrupted' : 'timeout';
  }

  get #name(): string {
    return formatHostPort(this.#peer.address, this.#peer.port);
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    this.#reject(error);
  }

  #interrupt(): void {
    const sentAtMs = this.#unanswered.get(this.#sent - 1);
    const leftMs = (sentAtMs ?? -Infinity) + 2 * this.#longestRttMs - this.#settings.clock.monotonicMs();
    this.#isInterrupted = true;
    this.#forgetLate();
    if (leftMs <= 0) return this.end();
    this.#cancel();
    this.#cancel = this.#settings.clock.after(leftMs, () => this.end());
  }

  /** Without flows, all. */
  *#unansweredOf(flow: number): Generator<number, void> {
    for (const sequence of this.#unanswered.keys()) if (sequence % this.#settings.flows === flow) yield sequence;
  }

  #sendNext(): void {
    const sequence = this.#sent;
    const flow = sequence % this.#settings.flows;
    const payload = this.#payloads.make(sequence);
    const nowMs = this.#settings.clock.monotonicMs();
    this.#sent += 1;
    this.#forgetLate();
    this.#unanswered.set(sequence, nowMs);
    this.#trips.sent(sequence, nowMs);
    this.#flows?.sent(sequence, nowMs);
    this.#settings.observe?.({ kind: 'sent', sequence });
    // What a broken flow should carry is lost.
    if (this.#flows?.isOpen(sequence) === false) return this.#schedule();
    this.#send(payload, flow).then(
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

  #take(recognized: Recognized, sizeBytes: number, flow: number): void {
    if (this.#isOver) return;
    const { clock, count, observe } = this.#settings;
    if (recognized.kind === 'corrupted') {
      this.#trips.corrupted();
      this.#flows?.corrupted(flow);
      if (recognized.sequence !== undefined) this.#unanswered.delete(recognized.sequence);
      observe?.({ ...recognized, sizeBytes });
      return;
    }
    const { sequence } = recognized;
    const nowMs = clock.monotonicMs();
    const trip = this.#trips.received(sequence, nowMs);
    if (trip === undefined) return;
    this.#flows?.received(sequence, nowMs);
    this.#unanswered.delete(sequence);
    if (!trip.isDuplicate) this.#answered += 1;
    this.#longestRttMs = Math.max(this.#longestRttMs, trip.rttMs);
    observe?.({ kind: 'answered', sequence, ...trip });
    const isAllSent = this.#sent === count || this.#isLastSent;
    const isLast = this.#isInterrupted ? sequence === this.#sent - 1 : isAllSent && this.#answered === this.#sent;
    if (isLast) this.end();
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
