import { LoadStream, type LoadStreamEvents } from '../dial/load-stream.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { isAnswerLength, type Lane, type LaneEvents, laneFailures, type LoadPeer, payloadCount } from './lane.ts';

/** A lane over a TCP connection that stays open. The lane handles the connection's events itself. */
abstract class StreamLane implements Lane, LoadStreamEvents {
  protected readonly events: LaneEvents;
  protected stream: LoadStream | undefined;
  protected readonly peer: LoadPeer;
  /** An established connection to use the first time the lane opens. */
  #first: LoadStream | undefined;
  /** The port to open again. */
  #sourcePort: number | undefined;

  constructor(peer: LoadPeer, events: LaneEvents, first?: LoadStream) {
    this.peer = peer;
    this.events = events;
    this.#first = first;
  }

  open(): void {
    const first = this.#first;
    this.#first = undefined;
    const { address, port, pathControls } = this.peer;
    const path = this.#sourcePort === undefined ? pathControls : { ...pathControls, sourcePort: this.#sourcePort };
    this.stream = first ?? LoadStream.open(address, port, this, path);
    if (first === undefined) return;
    first.attach(this);
    this.connected();
  }

  abstract request(): void;

  close(): void {
    this.stream?.destroy();
    this.stream = undefined;
  }

  connected(): void {
    const sourcePort = this.stream?.localPort;
    if (this.peer.keepsPorts === true) this.#sourcePort = sourcePort;
    this.events.ready(sourcePort);
  }

  /** Counts what arrives. From a discard service nothing should arrive, but that is not an error. */
  data(_bytes: Uint8Array, length: number): void {
    this.events.moved(0, length);
  }

  ended(): void {
    this.fail(laneFailures.closed);
  }

  failed(error: Error): void {
    this.fail(describeSystemError(error, 'connection'), error);
  }

  protected fail(kind: string, cause?: Error): void {
    this.close();
    this.events.failed(kind, cause);
  }
}

/** Echo over TCP: sends a payload and expects the same bytes back, in any number of pieces. */
export class EchoStreamLane extends StreamLane {
  readonly #payloads: readonly Buffer[];
  #turn: number;
  #expected: Buffer | undefined;
  #got = 0;

  constructor(peer: LoadPeer, index: number, payloads: readonly Buffer[], events: LaneEvents, first?: LoadStream) {
    super(peer, events, first);
    this.#payloads = payloads;
    this.#turn = index * 7;
  }

  request(): void {
    const payload = this.#payloads[this.#turn++ % payloadCount] as Buffer;
    this.#expected = payload;
    this.#got = 0;
    this.stream?.write(payload);
    this.events.moved(payload.length, 0);
  }

  override data(bytes: Uint8Array, length: number): void {
    const expected = this.#expected;
    const got = this.#got;
    const end = got + length;
    if (expected === undefined || end > expected.length || expected.compare(bytes, 0, length, got, end) !== 0)
      return this.fail(laneFailures.wrong);
    this.#got = end;
    this.events.moved(0, length);
    if (end < expected.length) return;
    this.#expected = undefined;
    this.events.answered();
  }

  override close(): void {
    super.close();
    this.#expected = undefined;
  }
}

/** Discard over TCP: sends blocks as fast as the peer accepts them. */
export class DiscardStreamLane extends StreamLane {
  readonly #block: Buffer;

  constructor(peer: LoadPeer, block: Buffer, events: LaneEvents, first?: LoadStream) {
    super(peer, events, first);
    this.#block = block;
  }

  request(): void {
    const { stream } = this;
    stream?.write(this.#block, (error) => {
      if (stream !== this.stream || (error ?? null) !== null) return;
      this.events.moved(this.#block.length, 0);
      // A kernel that accepts everything at once would starve the event loop.
      setImmediate(() => {
        if (stream === this.stream) this.request();
      });
    });
  }
}

/** Chargen over TCP: counts what arrives. */
export class ChargenStreamLane extends StreamLane {
  request(): void {}
}

/** One connection per request: the peer answers without being asked, then closes. */
export class FetchLane extends StreamLane {
  readonly #service: string;
  #got = 0;

  constructor(peer: LoadPeer, service: string, events: LaneEvents) {
    super(peer, events);
    this.#service = service;
  }

  /** Connecting is part of the request, so there is nothing to open. */
  override open(): void {
    this.events.ready();
  }

  request(): void {
    this.#got = 0;
    this.stream = LoadStream.open(this.peer.address, this.peer.port, this, this.peer.pathControls);
  }

  override connected(): void {}

  override data(_bytes: Uint8Array, length: number): void {
    this.#got += length;
    this.events.moved(0, length);
  }

  override ended(): void {
    if (this.#got === 0) return this.fail(laneFailures.closed);
    this.#finish();
  }

  /** A reset after the answer is normal for servers that leave input unread. */
  override failed(error: Error): void {
    if (this.#got === 0) super.failed(error);
    else this.#finish();
  }

  #finish(): void {
    if (!isAnswerLength(this.#service, this.#got)) return this.fail(laneFailures.wrong);
    this.close();
    this.events.answered();
  }
}
