import { DatagramSocket } from '../dial/datagram-socket.ts';
import { IcmpError } from '../dial/icmp-error.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { isAnswerLength, type Lane, type LaneEvents, laneFailures, type LoadPeer, payloadCount } from './lane.ts';

/**
 * A lane over its own UDP socket. After a failure it opens a new socket on another port, so a late answer to the old
 * one is never mistaken for the answer to a later request. With `keepsPorts`, it has the same port.
 */
abstract class DatagramLane implements Lane {
  protected readonly events: LaneEvents;
  protected socket: DatagramSocket | undefined;
  readonly #peer: LoadPeer;
  /** The port to open again. */
  #sourcePort: number | undefined;
  /** Distinguishes successive openings while a socket is being opened. */
  #opening = 0;

  constructor(peer: LoadPeer, events: LaneEvents) {
    this.#peer = peer;
    this.events = events;
  }

  open(): void {
    const opening = ++this.#opening;
    const failed = (error: Error): void => {
      if (opening === this.#opening) this.failBy(error);
    };
    const datagram = (bytes: Uint8Array): void => {
      if (opening === this.#opening) this.received(bytes);
    };
    const opened = (socket: DatagramSocket): void => {
      if (opening !== this.#opening) return socket.close();
      this.socket = socket;
      const { port: sourcePort } = socket.local;
      if (this.#peer.keepsPorts === true) this.#sourcePort = sourcePort;
      this.events.ready(sourcePort);
    };
    const { address, port, pathControls } = this.#peer;
    const path = this.#sourcePort === undefined ? pathControls : { ...pathControls, sourcePort: this.#sourcePort };
    DatagramSocket.open(address, port, { datagram, failed }, path).then(opened, failed);
  }

  abstract request(): void;

  protected get keepsPort(): boolean {
    return this.#peer.keepsPorts === true;
  }

  close(): void {
    this.#opening += 1;
    this.socket?.close();
    this.socket = undefined;
  }

  /** Counts what arrives. From a discard service nothing should arrive, but that is not an error. */
  protected received(bytes: Uint8Array): void {
    this.events.moved(0, bytes.length);
  }

  /** The callback for `post`, shared by all datagrams. */
  protected readonly taken = (error: Error | null): void => {
    if (error !== null && this.socket !== undefined) this.failBy(error);
  };

  protected fail(kind: string, cause?: Error): void {
    this.close();
    this.events.failed(kind, cause);
  }

  /** An ICMP error for a closed port corresponds to a reset over TCP. */
  protected failBy(error: Error): void {
    const cause = error.cause instanceof Error ? error.cause : error;
    this.fail(kindOf(cause), cause);
  }
}

/** Without the sender of an ICMP error, or there would be a kind for each. */
function kindOf(cause: Error): string {
  if (cause instanceof IcmpError) return cause.words;
  const { code } = cause as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' ? 'port unreachable' : describeSystemError(cause, 'connection');
}

/** Echo over UDP: sends a datagram and expects the same back. */
export class EchoDatagramLane extends DatagramLane {
  readonly #payloads: readonly Buffer[];
  #turn: number;
  #expected: Buffer | undefined;
  #before: Buffer | undefined;

  constructor(peer: LoadPeer, index: number, payloads: readonly Buffer[], events: LaneEvents) {
    super(peer, events);
    this.#payloads = payloads;
    this.#turn = index * 7;
  }

  request(): void {
    const payload = this.#payloads[this.#turn++ % payloadCount] as Buffer;
    this.#expected = payload;
    this.socket?.post(payload, this.taken);
    this.events.moved(payload.length, 0);
  }

  override close(): void {
    super.close();
    this.#expected = undefined;
    this.#before = undefined;
  }

  protected override received(bytes: Uint8Array): void {
    const expected = this.#expected;
    // The network may deliver an answer twice.
    if (this.#before?.equals(bytes) === true) return;
    if (expected?.equals(bytes) !== true) {
      // On the port of an earlier socket, the answer to a request that was given up may be late.
      if (this.keepsPort && this.#payloads.some((each) => each.equals(bytes))) return;
      return this.fail(laneFailures.wrong);
    }
    this.#before = expected;
    this.#expected = undefined;
    this.events.moved(0, bytes.length);
    this.events.answered();
  }
}

/** Sends a datagram and accepts any answer: daytime, time, qotd, systat, chargen. */
export class AskLane extends DatagramLane {
  readonly #question: Buffer;
  readonly #service: string;
  #isAsked = false;

  constructor(peer: LoadPeer, service: string, question: Buffer, events: LaneEvents) {
    super(peer, events);
    this.#service = service;
    this.#question = question;
  }

  request(): void {
    this.#isAsked = true;
    this.socket?.post(this.#question, this.taken);
    this.events.moved(this.#question.length, 0);
  }

  override close(): void {
    super.close();
    this.#isAsked = false;
  }

  protected override received(bytes: Uint8Array): void {
    this.events.moved(0, bytes.length);
    // Systat may answer with several datagrams.
    if (!this.#isAsked) return;
    this.#isAsked = false;
    // A chargen datagram may be empty (RFC 864).
    if (this.#service !== 'chargen' && !isAnswerLength(this.#service, bytes.length))
      return this.fail(laneFailures.wrong);
    this.events.answered();
  }
}

/** Discard over UDP: a request is done when the kernel has accepted it. Arrival cannot be confirmed. */
export class DiscardDatagramLane extends DatagramLane {
  readonly #payload: Buffer;

  constructor(peer: LoadPeer, payload: Buffer, events: LaneEvents) {
    super(peer, events);
    this.#payload = payload;
  }

  request(): void {
    const { socket } = this;
    socket?.post(this.#payload, (error) => {
      if (socket !== this.socket) return;
      if (error !== null) return this.failBy(error);
      this.events.moved(this.#payload.length, 0);
      // A kernel that accepts everything at once would starve the event loop.
      setImmediate(() => {
        if (socket === this.socket) this.events.answered();
      });
    });
  }
}
