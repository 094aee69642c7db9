import { formatHostPort } from '../../address/host-port.ts';
import type { Endpoint } from '../dial/connection.ts';
import { SmallservdError } from '../../errors.ts';
import { EchoPayloads, type Recognized } from './payload.ts';
import type { EchoPingOptions } from './options.ts';
import type { EchoPingResult } from './result.ts';
import type { WithDefaults } from '../options.ts';
import { RequestRun } from '../requests/run.ts';

export type EchoRunSettings = WithDefaults<EchoPingOptions> & {
  readonly count: number;
  readonly sizeBytes: number;
  readonly intervalMs: number;
  readonly random: () => number;
  readonly flows: number;
};

/** One run of `echoPing`: makes the requests and compares what comes back. */
export class EchoRun {
  readonly #peer: Endpoint;
  readonly #settings: EchoRunSettings;
  readonly #payloads: EchoPayloads;
  readonly #requests: RequestRun;
  /** Answers so far over each TCP connection. */
  readonly #messages: number[];

  constructor(peer: Endpoint, settings: EchoRunSettings) {
    this.#peer = peer;
    this.#settings = settings;
    this.#payloads = new EchoPayloads(settings.sizeBytes, settings.random);
    this.#requests = new RequestRun(settings);
    this.#messages = Array.from({ length: settings.flows }, () => 0);
  }

  /** Sends the first request now and the rest on schedule. Resolves when the run is over. */
  async start(send: (payload: Uint8Array, flow: number) => Promise<void>): Promise<void> {
    await this.#requests.start({
      make: (sequence) => this.#payloads.make(sequence),
      send: async (payload, _sequence, flow) => send(payload, flow),
    });
  }

  sendsFrom(flow: number, sourcePort: number | undefined): void {
    this.#requests.sendsFrom(flow, sourcePort);
  }

  flowEnded(flow: number, error: unknown): void {
    this.#requests.flowEnded(flow, error);
  }

  takeDatagram(bytes: Uint8Array, flow: number): void {
    this.#requests.heard();
    const unanswered = this.#requests.unansweredOf(flow);
    this.#take(this.#payloads.recognize(bytes, this.#requests.sent, unanswered), bytes.length, flow);
  }

  /** An answer over TCP. Answer N of a connection belongs to its request N. */
  takeMessage(bytes: Uint8Array, flow: number): void {
    const count = this.#messages[flow] ?? 0;
    this.#messages[flow] = count + 1;
    const sequence = count * this.#settings.flows + flow;
    const before = count * bytes.length;
    if (sequence >= this.#requests.sent) {
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

  refused(error: SmallservdError, flow: number): void {
    this.#requests.refused(error, flow);
  }

  result(): EchoPingResult {
    const summary = this.#requests.summary();
    const { elapsedMs, problem } = this.#requests;
    const isRight = summary.sent > 0 && summary.lost === 0 && summary.corrupted === 0 && problem === undefined;
    return {
      peer: this.#peer,
      protocol: this.#settings.udp === true ? 'udp' : 'tcp',
      sizeBytes: this.#settings.sizeBytes,
      elapsedMs,
      ...summary,
      flows: this.#requests.flowSummaries(),
      problem: problem?.message,
      isRight,
      outcome: isRight ? 'ok' : this.#requests.fault(),
    };
  }

  get #name(): string {
    return formatHostPort(this.#peer.address, this.#peer.port);
  }

  #take(recognized: Recognized, sizeBytes: number, flow: number): void {
    if (this.#requests.isOver) return;
    const { clock, observe } = this.#settings;
    if (recognized.kind === 'corrupted') {
      this.#requests.corrupted(flow, recognized.sequence);
      observe?.({ ...recognized, sizeBytes });
      return;
    }
    const { sequence } = recognized;
    const trip = this.#requests.received(sequence, clock.monotonicMs());
    if (trip !== undefined) observe?.({ kind: 'answered', sequence, ...trip });
  }
}
