import { formatHostPort } from '../address/host-port.ts';
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
import { RequestRun } from './request-run.ts';
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

/** One run: makes the requests, recognizes the answers and counts both. */
class Run {
  readonly #peer: Endpoint;
  readonly #settings: Settings;
  readonly #payloads: EchoPayloads;
  readonly #trips = new RoundTrips();
  readonly #requests: RequestRun;
  /** Answers over TCP, right or not. */
  #messages = 0;
  /** Whether any datagram has arrived over UDP, valid or not. */
  #hasHeard = false;
  /** The last refusal of a peer that had answered before. */
  #refusal: SmallservdError | undefined;

  constructor(peer: Endpoint, settings: Settings) {
    this.#peer = peer;
    this.#settings = settings;
    this.#payloads = new EchoPayloads(settings.sizeBytes, settings.random);
    this.#requests = new RequestRun(settings);
  }

  /** Sends the first request now and the rest on schedule. Resolves when the run is over. */
  async start(send: (payload: Uint8Array) => Promise<void>): Promise<void> {
    await this.#requests.start(
      async (sequence) => {
        const payload = this.#payloads.make(sequence);
        this.#trips.sent(sequence, this.#settings.clock.monotonicMs());
        this.#settings.observe?.({ kind: 'sent', sequence });
        return send(payload);
      },
      (error) => this.refused(error),
    );
  }

  takeDatagram(bytes: Uint8Array): void {
    this.#hasHeard = true;
    this.#requests.forgetLate();
    this.#take(this.#payloads.recognize(bytes, this.#requests.sent, this.#requests.unanswered), bytes.length);
  }

  /** An answer over TCP. Answer N belongs to request N. */
  takeMessage(bytes: Uint8Array): void {
    const sequence = this.#messages;
    this.#messages += 1;
    const before = sequence * bytes.length;
    if (sequence >= this.#requests.sent) {
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
    if (!this.#hasHeard) this.#requests.fail(error);
    else if (!this.#requests.isOver) {
      this.#refusal = error;
      this.#settings.observe?.({ kind: 'refused', message: error.message });
    }
  }

  /** Ends the run, with the error as the problem if there is one. */
  end(error?: unknown): void {
    this.#requests.end(error);
  }

  result(): EchoPingResult {
    const summary = this.#trips.summary();
    const { elapsedMs, problem } = this.#requests;
    const isRight = summary.sent > 0 && summary.lost === 0 && summary.corrupted === 0 && problem === undefined;
    return {
      peer: this.#peer,
      protocol: this.#settings.udp === true ? 'udp' : 'tcp',
      sizeBytes: this.#settings.sizeBytes,
      elapsedMs,
      ...summary,
      problem: problem?.message,
      isRight,
      outcome: isRight ? 'ok' : this.#faultOf(summary),
    };
  }

  #faultOf({ corrupted }: RoundTripSummary): Outcome {
    const { problem, hasOnlyBegun } = this.#requests;
    if (problem !== undefined) return problem.outcome;
    if (corrupted > 0) return 'wrong-answer';
    if (this.#refusal !== undefined) return this.#refusal.outcome;
    return hasOnlyBegun ? 'interrupted' : 'timeout';
  }

  get #name(): string {
    return formatHostPort(this.#peer.address, this.#peer.port);
  }

  #take(recognized: Recognized, sizeBytes: number): void {
    if (this.#requests.isOver) return;
    const { clock, observe } = this.#settings;
    if (recognized.kind === 'corrupted') {
      this.#trips.corrupted();
      observe?.({ ...recognized, sizeBytes });
      return;
    }
    const { sequence } = recognized;
    const trip = this.#trips.received(sequence, clock.monotonicMs());
    if (trip === undefined) return;
    observe?.({ kind: 'answered', sequence, ...trip });
    this.#requests.answered(sequence, trip.rttMs, trip.isDuplicate);
  }
}
