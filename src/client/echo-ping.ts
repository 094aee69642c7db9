import { formatHostPort } from '../address/host-port.ts';
import type { Cancel } from '../clock/clock.ts';
import { Connection, type Endpoint } from './dial/connection.ts';
import { DatagramSocket } from './dial/datagram-socket.ts';
import { firstToTake } from './dial/first-to-take.ts';
import { resolveHost } from './dial/resolve-host.ts';
import { parseTarget, type Target } from './dial/target.ts';
import { foreverMs, onAbort, throwIfInterrupted } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import type { Outcome } from '../outcomes.ts';
import { assertKeepAlive, type EchoOptions } from './echo-options.ts';
import { EchoPayloads, type Recognized } from './echo-payload.ts';
import { assertWithin, largestDatagramBytes, type WithDefaults, withDefaults } from './options.ts';
import { RoundTrips, type RoundTripSummary } from './round-trips.ts';

export interface EchoPingOptions extends EchoOptions {
  /** Number of requests, or 0 to continue until the signal aborts. Default 0. */
  readonly count?: number | undefined;
  /** Bytes of each request: 0 to 65507 over UDP, 1 to 16 MiB over TCP. Default 512. */
  readonly sizeBytes?: number | undefined;
  /** Milliseconds from the start of one request to the next. Default 1000. */
  readonly intervalMs?: number | undefined;
  /** Returns numbers from 0 up to, but not including, 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Called for each event as it happens. */
  readonly observe?: ((event: EchoPingEvent) => void) | undefined;
}

/** Requests are numbered from 0. */
export type EchoPingEvent =
  | { readonly kind: 'sent'; readonly sequence: number }
  | { readonly kind: 'answered'; readonly sequence: number; readonly rttMs: number; readonly isDuplicate: boolean }
  /** `offset` of the first wrong byte, in the datagram or in the entire TCP stream. */
  | {
      readonly kind: 'corrupted';
      readonly sequence: number | undefined;
      readonly sizeBytes: number;
      readonly offset: number;
    }
  /** Over UDP: ICMP reported the port unreachable. The run continues, because the peer has answered before. */
  | { readonly kind: 'refused'; readonly message: string };

export interface EchoPingResult extends RoundTripSummary {
  readonly peer: Endpoint;
  readonly protocol: 'tcp' | 'udp';
  readonly sizeBytes: number;
  readonly elapsedMs: number;
  /** Why the run ended early, unless the signal ended it. */
  readonly problem: string | undefined;
  /** Whether every request came back unchanged. */
  readonly isRight: boolean;
  /** `ok` if so. Otherwise what ended the run, or how the requests without a right answer ended. */
  readonly outcome: Outcome;
}

type Settings = WithDefaults<EchoPingOptions> & {
  readonly count: number;
  readonly sizeBytes: number;
  readonly intervalMs: number;
  readonly random: () => number;
};

/**
 * Sends numbered requests to an echo service (RFC 862) at intervals, over one connection or as datagrams, and verifies
 * the answers. After the last request it waits one timeout for late answers. When the signal aborts, it waits only
 * twice the longest round trip so far for the answer to the last request. Throws `ARGUMENT_INVALID`, and
 * `HOST_NOT_FOUND`, `CONNECT_FAILED` or `INTERRUPTED` if there is nothing to report.
 */
export async function echoPing(host: string, options: EchoPingOptions = {}): Promise<EchoPingResult> {
  const { count = 0, sizeBytes = 512, intervalMs = 1000, random = Math.random } = options;
  const settings = { ...withDefaults(options), count, sizeBytes, intervalMs, random };
  assertKeepAlive(options);
  assertWithin('the count', count, 0, Number.MAX_SAFE_INTEGER);
  assertWithin('the interval in milliseconds', intervalMs, 1, foreverMs);
  if (options.udp === true) {
    assertWithin('the size of a datagram', sizeBytes, 0, largestDatagramBytes);
    return pingOverUdp(host, settings);
  }
  assertWithin('the size of a request over TCP', sizeBytes, 1, 16 * 1024 * 1024);
  return pingOverTcp(host, settings);
}

async function pingOverTcp(host: string, settings: Settings): Promise<EchoPingResult> {
  const connection = await openConnection(parseTarget(host, 'tcp', 'echo'), settings);
  const run = new Run(connection.peer, settings);
  try {
    settings.connected?.(connection.peer);
    const ended = run.start(async (payload) => connection.write(payload));
    void readMessages(connection, run, settings.sizeBytes);
    await ended;
  } finally {
    connection.destroy();
  }
  return run.result();
}

/** The signal aborts only the opening. Afterwards the run decides when to stop, because answers may still arrive. */
async function openConnection(target: Target, { signal, ...settings }: Settings): Promise<Connection> {
  throwIfInterrupted(signal);
  const opening = new AbortController();
  const stopListening = onAbort(signal, () => opening.abort());
  try {
    return await Connection.open(target, { ...settings, signal: opening.signal });
  } finally {
    stopListening();
  }
}

/** Cuts the stream into messages of the request size, until the stream ends. */
async function readMessages(connection: Connection, run: Run, sizeBytes: number): Promise<void> {
  const message = Buffer.alloc(sizeBytes);
  let length = 0;
  try {
    for (;;) {
      const chunk = await connection.read(foreverMs);
      if (chunk === undefined) break;
      for (let taken = 0; taken < chunk.length; ) {
        const part = chunk.subarray(taken, taken + sizeBytes - length);
        message.set(part, length);
        taken += part.length;
        length += part.length;
        if (length < sizeBytes) break;
        run.takeMessage(message);
        length = 0;
      }
    }
    run.peerClosed();
  } catch (error) {
    run.end(error);
  }
}

async function pingOverUdp(host: string, settings: Settings): Promise<EchoPingResult> {
  const target = parseTarget(host, 'udp', 'echo');
  const addresses = await resolveHost(target.host, settings.family, settings);
  return firstToTake(
    addresses,
    async (address) => {
      const run = new Run({ address: address.address, port: target.port }, settings);
      const socket = await DatagramSocket.open(
        address,
        target.port,
        {
          datagram: (bytes) => run.takeDatagram(bytes),
          failed: (error) => run.refused(error),
        },
        settings.pathControls,
      );
      try {
        settings.connected?.(socket.peer);
        await run.start(async (payload) => socket.send(payload));
      } finally {
        socket.close();
      }
      return run.result();
    },
    settings.attempts,
  );
}

/** One run: sends requests on schedule, counts answers and decides when to stop. */
class Run {
  readonly #peer: Endpoint;
  readonly #settings: Settings;
  readonly #payloads: EchoPayloads;
  readonly #trips = new RoundTrips();
  /** Send times of requests that are neither answered nor late, oldest first. */
  readonly #unanswered = new Map<number, number>();
  #sent = 0;
  #answered = 0;
  #messages = 0;
  #startMs = 0;
  #endMs = 0;
  /** Intervals from the start to the last request. */
  #slot = 0;
  #longestRttMs = 0;
  /** Whether any datagram has arrived over UDP, valid or not. */
  #hasHeard = false;
  #isInterrupted = false;
  #isOver = false;
  #problem: SmallservdError | undefined;
  /** The last refusal of a peer that had answered before. */
  #refusal: SmallservdError | undefined;
  #cancel: Cancel = () => {};
  #send: (payload: Uint8Array) => Promise<void> = async () => {};
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(peer: Endpoint, settings: Settings) {
    this.#peer = peer;
    this.#settings = settings;
    this.#payloads = new EchoPayloads(settings.sizeBytes, settings.random);
  }

  /** Sends the first request now and the rest on schedule. Resolves when the run is over. */
  async start(send: (payload: Uint8Array) => Promise<void>): Promise<void> {
    const { signal, clock } = this.#settings;
    this.#send = send;
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

  takeDatagram(bytes: Uint8Array): void {
    this.#hasHeard = true;
    this.#forgetLate();
    this.#take(this.#payloads.recognize(bytes, this.#sent, this.#unanswered.keys()), bytes.length);
  }

  /** An answer over TCP. Answer N belongs to request N. */
  takeMessage(bytes: Uint8Array): void {
    const sequence = this.#messages;
    this.#messages += 1;
    const before = sequence * bytes.length;
    if (sequence >= this.#sent) {
      this.#take({ kind: 'corrupted', sequence: undefined, offset: before }, bytes.length);
      // Once a stream returns more than was sent, nothing after that can be trusted.
      return this.end(new SmallservdError('ANSWER_WRONG', `${this.#name}: more came back than was sent`));
    }
    const recognized = this.#payloads.compare(bytes, sequence);
    if (recognized.kind === 'right') this.#take(recognized, bytes.length);
    else this.#take({ ...recognized, offset: before + recognized.offset }, bytes.length);
  }

  peerClosed(): void {
    this.end(new SmallservdError('CONNECTION_LOST', `${this.#name} closed the connection`));
  }

  /** ICMP reported the port unreachable. */
  refused(error: SmallservdError): void {
    if (!this.#hasHeard) this.#fail(error);
    else if (!this.#isOver) {
      this.#refusal = error;
      this.#settings.observe?.({ kind: 'refused', message: error.message });
    }
  }

  /** Ends the run, with the error as the problem if there is one. */
  end(error?: unknown): void {
    if (this.#isOver) return;
    if (error !== undefined && !(error instanceof SmallservdError)) return this.#fail(error);
    this.#problem = error;
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

  #sendNext(): void {
    const sequence = this.#sent;
    const payload = this.#payloads.make(sequence);
    const nowMs = this.#settings.clock.monotonicMs();
    this.#sent += 1;
    this.#forgetLate();
    this.#unanswered.set(sequence, nowMs);
    this.#trips.sent(sequence, nowMs);
    this.#settings.observe?.({ kind: 'sent', sequence });
    this.#send(payload).then(
      () => this.#schedule(),
      (error: unknown) => {
        if (!(error instanceof SmallservdError) || error.code !== 'CONNECT_FAILED') return this.end(error);
        this.refused(error);
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

  #take(recognized: Recognized, sizeBytes: number): void {
    if (this.#isOver) return;
    const { clock, count, observe } = this.#settings;
    if (recognized.kind === 'corrupted') {
      this.#trips.corrupted();
      observe?.({ ...recognized, sizeBytes });
      return;
    }
    const { sequence } = recognized;
    const trip = this.#trips.received(sequence, clock.monotonicMs());
    if (trip === undefined) return;
    this.#unanswered.delete(sequence);
    if (!trip.isDuplicate) this.#answered += 1;
    this.#longestRttMs = Math.max(this.#longestRttMs, trip.rttMs);
    observe?.({ kind: 'answered', sequence, ...trip });
    const isLast = this.#isInterrupted ? sequence === this.#sent - 1 : this.#answered === count && count > 0;
    if (isLast) this.end();
  }

  /** Drops old requests, so that an answer without a header is not attributed to one of them. */
  #forgetLate(): void {
    const { clock, timeoutMs } = this.#settings;
    const earliestMs = clock.monotonicMs() - timeoutMs;
    for (const [sequence, sentAtMs] of this.#unanswered) {
      if (sentAtMs >= earliestMs) return;
      this.#unanswered.delete(sequence);
    }
  }
}
