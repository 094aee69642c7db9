import type { Socket } from 'node:net';
import { formatIp, isIpv4 } from '../../address/ip-address.ts';
import { Deadlines } from '../guard/deadlines.ts';
import { isUnixUser, type Source } from '../guard/source-prefix.ts';
import type { Place, PlaceHolder } from '../guard/source-tree.ts';
import type { StreamLimits } from '../guard/limits.ts';
import type { SocketOptions } from './socket-options.ts';
import { startReading, stopReading } from './reading.ts';
import { synchronous } from './synchronous.ts';
import type { Client, CloseReason, PeerAddress, Service, StreamHandlers } from '../../service.ts';

/** What a client tells its listener, once each at the most. */
export interface StreamClientEvents {
  /** The service answered at once, and wants nothing of the client: `discardInput` is owed. */
  answered(client: StreamClient): void;
  closed(client: StreamClient, reason: CloseReason): void;
  failed(client: StreamClient, error: unknown): void;
}

/** What a PROXY header has said, and who. */
export interface Proxied {
  /** The proxy's address and port. */
  readonly via: string;
  /** Bytes of the stream that were the header. */
  readonly headerLength: number;
}

/** Who a client is, and what holds for it. */
export interface StreamClientOptions {
  readonly source: Source;
  /** The client's; 0 for a UNIX client. */
  readonly port: number;
  /** Our own address that the client reached. */
  readonly local: string;
  readonly limits: StreamLimits;
  /** On the monotonic clock. */
  readonly openedAtMs: number;
  readonly events: StreamClientEvents;
  /** Undefined: it came by itself. */
  readonly proxied: Proxied | undefined;
}

const unixPeer: PeerAddress = { family: 'unix', address: '', port: 0 };

/** What a service that returns nothing does with a client's bytes. */
const noHandlers: StreamHandlers = {};

/**
 * One connection, from the moment it is admitted until its socket is gone: backpressure, half-close, quota, linger, and
 * the reason it ended.
 */
export class StreamClient implements Client, PlaceHolder {
  /** Where admission counts it. */
  readonly place: Place;
  /** Our own address that the client reached. */
  readonly local: string;
  readonly openedAtMs: number;
  /** Where it stands in its listener's list. */
  index = -1;
  readonly #socket: Socket;
  readonly #source: Source;
  /** The client's. */
  readonly #port: number;
  readonly #limits: StreamLimits;
  readonly #proxied: Proxied | undefined;
  /** None until the first sweep: most clients are gone by then. */
  #deadlines: Deadlines | undefined;
  readonly #events: StreamClientEvents;
  #handlers: StreamHandlers | undefined;
  #received = 0;
  #written = 0;
  #paused = false;
  #ending = false;
  #finished = false;
  #drainedScheduled = false;
  /** What a destroyed socket still held: it forgets. */
  #abandoned: number | undefined;
  #reason: CloseReason | undefined;

  constructor(socket: Socket, place: Place, options: StreamClientOptions) {
    const { source, port, local, limits, openedAtMs, events, proxied } = options;
    this.#socket = socket;
    this.place = place;
    place.holder = this;
    this.#source = source;
    this.#port = port;
    this.local = local;
    this.openedAtMs = openedAtMs;
    this.#limits = limits;
    this.#events = events;
    this.#proxied = proxied;
    // Before anything else: an accepted socket without an `error` listener that receives a reset ends the process.
    socket.on('error', ignore);
    socket.on('close', () => this.#closed());
  }

  get peer(): PeerAddress {
    const source = this.#source;
    if (isUnixUser(source)) return unixPeer;
    return { family: isIpv4(source) ? 'ipv4' : 'ipv6', address: formatIp(source), port: this.#port };
  }

  get uid(): number | undefined {
    return isUnixUser(this.#source) ? this.#source.uid : undefined;
  }

  get via(): string | undefined {
    return this.#proxied?.via;
  }

  /** Bytes that the client has sent; what was thrown away after the answer too, but no PROXY header. */
  get received(): number {
    return this.#socket.bytesRead - (this.#proxied?.headerLength ?? 0);
  }

  /** Bytes that the kernel has taken for the client; of one that reset, perhaps a write too many. */
  get sent(): number {
    return this.#written - this.#unsent;
  }

  /** Hands the client to the service. */
  serve(service: Service, socketOptions: SocketOptions): void {
    try {
      this.#handlers = synchronous(service.stream?.(this)) ?? noHandlers;
    } catch (error) {
      this.#fail(error);
      return;
    }
    // Answered already: within the linger timeout neither keepalive nor Nagle's algorithm has a part, so their system
    // calls are saved.
    if (this.#ending) return;
    const { keepAlive, noDelay } = socketOptions;
    if (keepAlive.enabled) this.#socket.setKeepAlive(true, keepAlive.delayMs);
    if (noDelay) this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#data(chunk));
    this.#socket.on('end', () => this.#peerEnded());
    if (this.#handlers.drained !== undefined && this.#socket.writableLength === 0) this.#scheduleDrained();
  }

  write(bytes: Uint8Array): void {
    if (this.#ending || bytes.length === 0) return;
    const part = this.#withinQuota(bytes);
    const handlers = this.#handlers;
    // Only a service that waits for `drained`, or may yet say so, pays for a callback on each write.
    const flowing =
      handlers !== undefined && handlers.drained === undefined
        ? this.#socket.write(part)
        : this.#socket.write(part, () => this.#onWritten());
    // A write that the kernel took whole reports "full" too, as its length passed the mark for a moment.
    if (!flowing && handlers?.data !== undefined && this.#socket.writableLength > 0) this.#pause();
    if (this.#isQuotaSpent) this.#finish('quota');
  }

  end(bytes?: Uint8Array): void {
    if (this.#ending) return;
    this.#ending = true;
    if (bytes === undefined) {
      this.#socket.end();
    } else {
      this.#socket.end(this.#withinQuota(bytes));
      if (this.#isQuotaSpent) this.#reason ??= 'quota';
    }
    if (this.#handlers === undefined) this.#events.answered(this);
    else this.discardInput();
  }

  /** What still arrives is read and thrown away: closing with unread input would send a reset, and lose our answer. */
  discardInput(): void {
    const wasPaused = this.#paused;
    this.#paused = false;
    if (this.#socket.destroyed) return;
    this.#socket.resume();
    if (wasPaused) startReading(this.#socket);
  }

  /** Looks at the deadlines; the listener calls it at every sweep. */
  sweep(nowMs: number): void {
    this.#deadlines ??= new Deadlines(this.#limits, this.openedAtMs);
    if (!this.#finished && this.#socket.writableFinished) {
      this.#finished = true;
      this.#deadlines.finished(nowMs);
    }
    const pending = this.#socket.writableLength;
    const deadline = this.#deadlines.passed(nowMs, this.received, this.#written - pending, pending);
    if (deadline !== undefined) this.destroy(deadline === 'linger' ? 'completed' : deadline);
    else if (this.#deadlines.activeMs === nowMs) this.place.renew();
  }

  evict(): void {
    // One that has had its whole answer, and our goodbye, loses nothing: the sweep would say the same of it.
    this.destroy(this.#socket.writableFinished ? 'completed' : 'evicted');
  }

  /** Ends the connection at once. The first reason stays. */
  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#ending = true;
    this.#abandoned ??= this.#socket.writableLength;
    // Who takes nothing will not take what the kernel has for him either: without a reset it would keep that for
    // minutes, megabytes a client.
    const isBehind = reason === 'stalled' || (reason === 'evicted' && this.#socket.writableLength > 0);
    // A UNIX socket knows no reset: resetAndDestroy throws there.
    if (isBehind && !isUnixUser(this.#source)) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  get #unsent(): number {
    return this.#abandoned ?? this.#socket.writableLength;
  }

  get #isQuotaSpent(): boolean {
    return this.#received + this.#written >= this.#limits.maxBytes;
  }

  /** The part of the bytes that the quota lets through; counts them as written. */
  #withinQuota(bytes: Uint8Array): Uint8Array {
    const left = this.#limits.maxBytes - this.#received - this.#written;
    const part = bytes.length > left ? bytes.subarray(0, left) : bytes;
    this.#written += part.length;
    return part;
  }

  #finish(reason: CloseReason): void {
    this.#reason ??= reason;
    this.end();
  }

  #data(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#ending) return;
    if (this.#isQuotaSpent) {
      this.#finish('quota');
      return;
    }
    if (this.#handlers?.data === undefined) return;
    try {
      synchronous(this.#handlers.data(chunk));
    } catch (error) {
      this.#fail(error);
    }
  }

  #peerEnded(): void {
    if (this.#ending) return;
    if (this.#handlers?.end === undefined) {
      this.end();
      return;
    }
    try {
      synchronous(this.#handlers.end());
    } catch (error) {
      this.#fail(error);
    }
  }

  #onWritten(): void {
    if (this.#handlers?.drained !== undefined && this.#socket.writableLength === 0) this.#scheduleDrained();
  }

  /**
   * Through the event loop, never at once: a reader as fast as this writer would otherwise keep everybody else waiting.
   */
  #scheduleDrained(): void {
    if (this.#drainedScheduled || this.#ending) return;
    this.#drainedScheduled = true;
    setImmediate(() => {
      this.#drainedScheduled = false;
      if (this.#ending || this.#socket.writableLength > 0) return;
      try {
        synchronous(this.#handlers?.drained?.());
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
    stopReading(this.#socket);
    this.#socket.once('drain', () => this.#resume());
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
    startReading(this.#socket);
  }

  #fail(error: unknown): void {
    this.#events.failed(this, error);
    this.destroy('service-error');
  }

  #closed(): void {
    this.#ending = true;
    const reason = this.#reason ?? reasonOf(this.#socket.errored);
    try {
      synchronous(this.#handlers?.closed?.(reason));
    } catch (error) {
      this.#events.failed(this, error);
    }
    this.#events.closed(this, reason);
  }
}

/** An error needs no action of its own: `close` follows, and the socket keeps the error. */
function ignore(): void {}

function reasonOf(error: NodeJS.ErrnoException | null): CloseReason {
  if (error === null) return 'completed';
  return error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'client-reset' : 'client-lost';
}
