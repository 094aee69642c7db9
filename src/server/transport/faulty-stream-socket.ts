import type { TcpInfo } from '../../kernel/streams.ts';
import type { Delayed } from '../faults/delay-queue.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';
import type { StreamFaults } from '../faults/stream-faults.ts';
import type { SocketOptions } from './socket-options.ts';
import type { StreamSocket, StreamSocketUser } from './stream-socket.ts';

/** A client whose connection a fault ends. */
export interface CutClient {
  /** Ends it in order: with our FIN, then the client's, or after the linger timeout. */
  closeByFault(): void;
  resetByFault(): void;
  /** Counts input that its service does not get. */
  withheld(bytes: number): void;
}

/** How much output of one client may be delayed before its service must wait. One more chunk may be added to it. */
const mostDelayedBytes = 64 * 1024;
/** Each chunk costs more than a byte, and all of them may leave at once. */
const mostDelayedChunks = 256;

/** With `rate`: how long a slice of output takes, and how much time a late timer may make up for. */
const sliceMs = 20;

/** A chunk of output that waits. */
interface DelayedChunk {
  /** What is left of it. */
  bytes: Uint8Array;
  /** What it had at first. */
  readonly length: number;
  readonly dueMs: number;
}

/**
 * The faults of one connection, between its socket and its client. To the client it is a socket: what is delayed
 * counts as not sent, so backpressure, deadlines, eviction and shutdown work as with a slow network.
 */
export class FaultyStreamSocket implements StreamSocket, Delayed {
  dueMs = 0;
  position = -1;
  turn = 0;
  readonly #socket: StreamSocket;
  readonly #service: ServiceFaults;
  readonly #faults: StreamFaults;
  readonly #closeAfterBytes: number;
  readonly #resetAfterBytes: number;
  #user: StreamSocketUser | undefined;
  #client: CutClient | undefined;
  /** Undefined once the client is served, or gone. */
  #serve: (() => void) | undefined;
  #serveAtMs = Infinity;
  #closeAtMs = Infinity;
  #resetAtMs = Infinity;
  readonly #delayed: DelayedChunk[] = [];
  #delayedBytes = 0;
  /** Bytes that never leave, because of a fault or the end of the connection. */
  #discardedBytes = 0;
  #sentBytes = 0;
  #hasWritten = false;
  /** With `rate`: when the next slice may leave. */
  #nextSliceMs = 0;
  /** Whether the client was told to wait. */
  #isWaiting = false;
  /** Whether the client has ended our side. */
  #isEnding = false;
  /** Whether a fault has ended our side. */
  #isCut = false;
  #isHalfClosed = false;
  #isGone = false;

  constructor(socket: StreamSocket, service: ServiceFaults) {
    this.#socket = socket;
    this.#service = service;
    this.#faults = service.forConnection();
    this.#closeAfterBytes = this.#faults.closeAfter?.bytes ?? Infinity;
    this.#resetAfterBytes = this.#faults.resetAfter?.bytes ?? Infinity;
    socket.use({
      received: (chunk) => this.#receive(chunk),
      peerEnded: () => {
        // Whoever is never answered gets no FIN either.
        if (!this.#faults.isBlackhole) this.#user?.peerEnded();
      },
      flushed: () => this.#proceed(this.#nowMs),
      closed: () => {
        this.#forget();
        this.#user?.closed();
      },
    });
  }

  /** Serves a client that has just been accepted: now, later, or never. */
  accept(client: CutClient, serve: () => void): void {
    const { resetsOnAccept, acceptDelayMs } = this.#faults;
    this.#client = client;
    if (resetsOnAccept) {
      this.#faults.note('resetOnAccept');
      client.resetByFault();
      return;
    }
    this.#serve = serve;
    if (acceptDelayMs === 0) {
      this.#begin();
    } else {
      this.#faults.note('acceptDelay');
      this.#serveAtMs = this.#nowMs + acceptDelayMs;
    }
    this.#schedule();
  }

  get received(): number {
    return this.#socket.received;
  }

  /** Also what never leaves. */
  get unsent(): number {
    return this.#socket.unsent + this.#delayedBytes + this.#discardedBytes;
  }

  /** Whoever is told that it does not is told by `flushed` when it does: the budget can become tight at any time. */
  get takesMore(): boolean {
    const takesMore = this.#hasRoom;
    if (!takesMore) this.#isWaiting = true;
    return takesMore;
  }

  /** An early half-close leaves it to the client, or to the idle timeout, how long the connection lasts. */
  get isFinished(): boolean {
    return this.#isEnding && this.#socket.isFinished;
  }

  review(): number {
    return this.#delayedBytes + this.#socket.review();
  }

  get isDestroyed(): boolean {
    return this.#socket.isDestroyed;
  }

  get errorCode(): string | undefined {
    return this.#socket.errorCode;
  }

  get tcpInfo(): TcpInfo | undefined {
    return this.#socket.tcpInfo;
  }

  get local(): string {
    return this.#socket.local;
  }

  use(user: StreamSocketUser): void {
    this.#user = user;
  }

  setOptions(options: SocketOptions): void {
    this.#socket.setOptions(options);
  }

  startReading(): void {
    if (!this.#faults.stopsReading) this.#socket.startReading();
  }

  stopReading(): void {
    // Half-closed, the client is still read, although its service cannot write.
    if (!this.#isHalfClosed) this.#socket.stopReading();
  }

  write(bytes: Uint8Array): void {
    if (this.isDestroyed || this.#isEnding) return;
    this.#write(bytes);
    if (!this.#hasRoom) this.#isWaiting = true;
    this.#schedule();
  }

  end(bytes?: Uint8Array): void {
    if (this.isDestroyed || this.#isEnding) return;
    if (bytes !== undefined) this.#write(bytes);
    this.#isEnding = true;
    this.#finishIfSent();
    this.#schedule();
  }

  destroy(): void {
    this.#forget();
    this.#socket.destroy();
  }

  reset(): void {
    this.#forget();
    this.#socket.reset();
  }

  /** Called by the queue. */
  due(nowMs: number): void {
    if (this.#serveAtMs <= nowMs) {
      this.#serveAtMs = Infinity;
      this.#begin();
    }
    if (this.#resetAtMs <= nowMs) this.#resetUnlessSent();
    else if (this.#closeAtMs <= nowMs) this.#closeClient();
    this.#proceed(nowMs);
  }

  get #nowMs(): number {
    return this.#service.queue.nowMs;
  }

  /** After an early half-close, nothing would ever slow down a service that only writes. */
  get #hasRoom(): boolean {
    if (this.#isHalfClosed || !this.#socket.takesMore) return false;
    if (this.#delayedBytes === 0) return true;
    const isFull = this.#delayedBytes >= mostDelayedBytes || this.#delayed.length >= mostDelayedChunks;
    return !isFull && !this.#service.budget.isTight;
  }

  /** After an early half-close, a service that answers before it takes more would hold all input in its memory. */
  #receive(chunk: Buffer): void {
    if (this.#isHalfClosed) this.#client?.withheld(chunk.length);
    else this.#user?.received(chunk);
  }

  #begin(): void {
    const serve = this.#serve;
    this.#serve = undefined;
    if (serve === undefined) return;
    const { closeAfter, resetAfter, bytesPerSecond, stopsReading, isBlackhole } = this.#faults;
    const nowMs = this.#nowMs;
    this.#closeAtMs = nowMs + (closeAfter?.timeMs ?? Infinity);
    this.#resetAtMs = nowMs + (resetAfter?.timeMs ?? Infinity);
    if (bytesPerSecond !== undefined) this.#faults.note('rate');
    if (stopsReading) this.#faults.note('stopReading');
    if (!isBlackhole) {
      serve();
      return;
    }
    this.#faults.note('blackhole');
    this.startReading();
  }

  #write(bytes: Uint8Array): void {
    if (this.#isCut) {
      this.#discardedBytes += bytes.length;
      return;
    }
    const nowMs = this.#nowMs;
    // A stream keeps its order.
    const dueMs = Math.max(nowMs + this.#drawDelayMs(), this.#delayed.at(-1)?.dueMs ?? 0);
    const chunk = this.#faults.spoil(bytes);
    const isAtOnce = this.#delayed.length === 0 && dueMs <= nowMs && this.#faults.bytesPerSecond === undefined;
    if (isAtOnce && this.#socket.takesMore) this.#send(chunk, true);
    else this.#hold(chunk, dueMs);
  }

  #drawDelayMs(): number {
    const delayMs = this.#faults.drawDelayMs();
    const isFirst = !this.#hasWritten;
    this.#hasWritten = true;
    if (!isFirst || this.#faults.firstByteDelayMs === 0) return delayMs;
    this.#faults.note('firstByteDelay');
    return delayMs + this.#faults.firstByteDelayMs;
  }

  /** A stream cannot lose bytes and go on, so a client whose output has no room is reset. */
  #hold(chunk: Uint8Array, dueMs: number): void {
    const { length } = chunk;
    if (length === 0) return;
    if (!this.#service.budget.takeChunk(length)) {
      this.#discardedBytes += length;
      this.#faults.note('maxDelayed');
      this.#client?.resetByFault();
      return;
    }
    // The caller may reuse its memory.
    this.#delayed.push({ bytes: Uint8Array.from(chunk), length, dueMs });
    this.#delayedBytes += length;
  }

  /** Sends what is due, and tells the client if it may go on. */
  #proceed(nowMs: number): void {
    while (!this.#isGone && this.#sendFirst(nowMs)) continue;
    this.#finishIfSent();
    if (this.#isWaiting && !this.#isGone && this.#hasRoom) {
      this.#isWaiting = false;
      this.#user?.flushed();
    }
    this.#schedule();
  }

  /** Sends the first chunk that is delayed, or a slice of it. Returns false if nothing may leave now. */
  #sendFirst(nowMs: number): boolean {
    const [first] = this.#delayed;
    if (first === undefined || first.dueMs > nowMs || !this.#socket.takesMore) return false;
    const { bytesPerSecond } = this.#faults;
    let part = first.bytes;
    if (bytesPerSecond !== undefined) {
      if (this.#nextSliceMs > nowMs) return false;
      part = part.subarray(0, Math.max(1, Math.ceil((bytesPerSecond * sliceMs) / 1000)));
      const slowest = Math.max(this.#nextSliceMs, nowMs - sliceMs);
      this.#nextSliceMs = slowest + (part.length * 1000) / bytesPerSecond;
    }
    this.#delayedBytes -= part.length;
    first.bytes = first.bytes.subarray(part.length);
    if (first.bytes.length === 0) {
      this.#delayed.shift();
      this.#service.budget.giveChunk(first.length);
    }
    this.#send(part, first.bytes.length === 0);
    return true;
  }

  /** Sends a chunk, or a part of it. `isLast`: nothing of the chunk is left. */
  #send(chunk: Uint8Array, isLast: boolean): void {
    const left = Math.min(this.#closeAfterBytes, this.#resetAfterBytes) - this.#sentBytes;
    const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
    this.#socket.write(part);
    this.#sentBytes += part.length;
    this.#discardedBytes += chunk.length - part.length;
    if (this.#sentBytes >= this.#resetAfterBytes) this.#resetClient();
    else if (this.#sentBytes >= this.#closeAfterBytes) this.#closeClient();
    else if (this.#faults.halfClosesEarly && isLast) this.#halfClose();
  }

  #finishIfSent(): void {
    if (this.#isEnding && this.#delayed.length === 0 && !this.#isHalfClosed) this.#socket.end();
  }

  #closeClient(): void {
    this.#closeAtMs = Infinity;
    // The service was faster.
    if (this.#isEnding && this.#delayed.length === 0) return;
    this.#faults.note('closeAfter');
    this.#isCut = true;
    this.#discardHeld();
    this.#client?.closeByFault();
    this.#finishIfSent();
  }

  #resetUnlessSent(): void {
    this.#resetAtMs = Infinity;
    // The service was faster.
    if (this.#isEnding && this.#delayed.length === 0) return;
    this.#resetClient();
  }

  #resetClient(): void {
    this.#faults.note('resetAfter');
    this.#client?.resetByFault();
  }

  #halfClose(): void {
    this.#faults.note('halfCloseEarly');
    this.#isCut = true;
    this.#isHalfClosed = true;
    this.#discardHeld();
    this.#socket.end();
    // The client may have been told to wait for a service that writes nothing any more.
    this.startReading();
  }

  #discardHeld(): void {
    for (const { length } of this.#delayed.splice(0)) this.#service.budget.giveChunk(length);
    this.#discardedBytes += this.#delayedBytes;
    this.#delayedBytes = 0;
  }

  /** The connection is over. */
  #forget(): void {
    this.#isGone = true;
    this.#serve = undefined;
    this.#service.queue.remove(this);
    this.#discardHeld();
  }

  /** Waits for whatever comes next. */
  #schedule(): void {
    if (this.#isGone) return;
    const [first] = this.#delayed;
    // Else the socket says when it goes on.
    const isNext = first !== undefined && this.#socket.takesMore;
    const sendAtMs = isNext ? Math.max(first.dueMs, this.#nextSliceMs) : Infinity;
    const nextMs = Math.min(this.#serveAtMs, this.#closeAtMs, this.#resetAtMs, sendAtMs);
    if (nextMs === Infinity) this.#service.queue.remove(this);
    else this.#service.queue.set(this, nextMs);
  }
}
