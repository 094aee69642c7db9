import type { Socket } from 'node:net';
import { formatIp, isIpv4 } from '../../address/ip-address.ts';
import { Deadlines } from '../guard/deadlines.ts';
import { isUnixUser, type Source } from '../guard/source-prefix.ts';
import type { Place, PlaceHolder } from '../guard/source-tree.ts';
import type { StreamLimits } from '../guard/limits.ts';
import type { SocketOptions } from './socket-options.ts';
import { startReading, stopReading } from './socket-handle.ts';
import { synchronous } from './synchronous.ts';
import type { Client, CloseReason, PeerAddress, Service, StreamHandlers } from '../../service.ts';

/** Events of a client for its listener, each at most once. */
export interface StreamClientEvents {
  /** The service answered immediately and needs no input. The listener must call `discardInput`. */
  answered(client: StreamClient): void;
  closed(client: StreamClient, reason: CloseReason): void;
  failed(client: StreamClient, error: unknown): void;
}

/** What a PROXY header contained, and its sender. */
export interface Proxied {
  /** Address and port of the proxy. */
  readonly via: string;
  /** Length of the header in the stream, in bytes. */
  readonly headerLength: number;
}

/** A client's identity and limits. */
export interface StreamClientOptions {
  readonly source: Source;
  /** The client's port, or 0 for a UNIX client. */
  readonly port: number;
  /** The local address that the client connected to. */
  readonly local: string;
  readonly limits: StreamLimits;
  /** Monotonic time. */
  readonly openedAtMs: number;
  readonly events: StreamClientEvents;
  /** Undefined if the client connected directly. */
  readonly proxied: Proxied | undefined;
}

const unixPeer: PeerAddress = { family: 'unix', address: '', port: 0 };

/** For services that ignore a client's data. */
const noHandlers: StreamHandlers = {};

/** A connection from admission to its closing: backpressure, half-close, quota, linger and the close reason. */
export class StreamClient implements Client, PlaceHolder {
  readonly place: Place;
  /** The local address that the client connected to. */
  readonly local: string;
  readonly openedAtMs: number;
  /** Position in the listener's client list. */
  index = -1;
  readonly #socket: Socket;
  readonly #options: StreamClientOptions;
  /** Created at the first sweep, because most clients are gone by then. */
  #deadlines: Deadlines | undefined;
  #handlers: StreamHandlers | undefined;
  #received = 0;
  #written = 0;
  #paused = false;
  #ending = false;
  #drainedScheduled = false;
  /** Unsent bytes of a destroyed socket, which itself forgets them. */
  #abandoned: number | undefined;
  #reason: CloseReason | undefined;

  constructor(socket: Socket, place: Place, options: StreamClientOptions) {
    this.#socket = socket;
    this.place = place;
    place.holder = this;
    this.#options = options;
    this.local = options.local;
    this.openedAtMs = options.openedAtMs;
    // Must come first: without an `error` listener, a reset on an accepted socket ends the process.
    socket.on('error', ignore);
    socket.on('close', () => this.#closed());
  }

  get peer(): PeerAddress {
    const { source, port } = this.#options;
    if (isUnixUser(source)) return unixPeer;
    return { family: isIpv4(source) ? 'ipv4' : 'ipv6', address: formatIp(source), port };
  }

  get uid(): number | undefined {
    const { source } = this.#options;
    return isUnixUser(source) ? source.uid : undefined;
  }

  get via(): string | undefined {
    return this.#options.proxied?.via;
  }

  /** Bytes received from the client, including those discarded after the answer, but not a PROXY header. */
  get received(): number {
    return this.#socket.bytesRead - (this.#options.proxied?.headerLength ?? 0);
  }

  /** Bytes that the kernel has accepted for the client. After a reset, this may include one write too many. */
  get sent(): number {
    return this.#written - (this.#abandoned ?? this.#socket.writableLength);
  }

  serve(service: Service, socketOptions: SocketOptions): void {
    try {
      this.#handlers = synchronous(service.stream?.(this)) ?? noHandlers;
    } catch (error) {
      this.#fail(error);
      return;
    }
    // Already answered. Keepalive and Nagle's algorithm do not matter while lingering, so save the system calls.
    if (this.#ending) return;
    const { keepAlive, noDelay } = socketOptions;
    if (keepAlive.enabled) this.#socket.setKeepAlive(true, keepAlive.delayMs);
    if (noDelay) this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#data(chunk));
    this.#socket.on('end', () => this.#peerEnded());
    this.#scheduleDrained();
  }

  write(bytes: Uint8Array): void {
    if (this.#ending || bytes.length === 0) return;
    const part = this.#withinQuota(bytes);
    const handlers = this.#handlers;
    // Avoid a callback on each write unless the service has `drained`, or may still set it.
    const flowing =
      handlers !== undefined && handlers.drained === undefined
        ? this.#socket.write(part)
        : this.#socket.write(part, () => this.#scheduleDrained());
    // Even a write that the kernel accepted completely reports "full", because its length briefly exceeded the mark.
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
    if (this.#handlers === undefined) this.#options.events.answered(this);
    else this.discardInput();
  }

  /** Reads and discards further input. Closing with unread input would send a reset and lose our answer. */
  discardInput(): void {
    const wasPaused = this.#paused;
    this.#paused = false;
    if (this.#socket.destroyed) return;
    this.#socket.resume();
    if (wasPaused) startReading(this.#socket);
  }

  /** Checks the deadlines. The listener calls it at every sweep. */
  sweep(nowMs: number): void {
    this.#deadlines ??= new Deadlines(this.#options.limits, this.openedAtMs);
    if (this.#socket.writableFinished) this.#deadlines.finished(nowMs);
    const pending = this.#socket.writableLength;
    const deadline = this.#deadlines.passed(nowMs, this.received, this.#written - pending, pending);
    if (deadline !== undefined) this.destroy(deadline === 'linger' ? 'completed' : deadline);
    else if (this.#deadlines.activeMs === nowMs) this.place.renew();
  }

  evict(): void {
    // A client that has its complete answer and our FIN loses nothing. The sweep would close it for the same reason.
    this.destroy(this.#socket.writableFinished ? 'completed' : 'evicted');
  }

  /** Closes the connection immediately. Keeps the first reason. */
  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#ending = true;
    this.#abandoned ??= this.#socket.writableLength;
    // A client that reads nothing will not read what the kernel holds for it either. Without a reset, the kernel would
    // keep that for minutes, megabytes per client.
    const isBehind = reason === 'stalled' || (reason === 'evicted' && this.#socket.writableLength > 0);
    // UNIX sockets cannot be reset: resetAndDestroy throws.
    if (isBehind && !isUnixUser(this.#options.source)) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  get #isQuotaSpent(): boolean {
    return this.#received + this.#written >= this.#options.limits.maxBytes;
  }

  /** Cuts the bytes to the remaining quota and counts them as written. */
  #withinQuota(bytes: Uint8Array): Uint8Array {
    const left = this.#options.limits.maxBytes - this.#received - this.#written;
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
    try {
      synchronous(this.#handlers?.data?.(chunk));
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

  /**
   * Calls `drained`, if everything is written. Always defers to the event loop. Otherwise a reader as fast as this
   * writer would starve everyone else.
   */
  #scheduleDrained(): void {
    if (this.#handlers?.drained === undefined || this.#socket.writableLength > 0) return;
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
    this.#options.events.failed(this, error);
    this.destroy('service-error');
  }

  #closed(): void {
    this.#ending = true;
    const reason = this.#reason ?? reasonOf(this.#socket.errored);
    try {
      synchronous(this.#handlers?.closed?.(reason));
    } catch (error) {
      this.#options.events.failed(this, error);
    }
    this.#options.events.closed(this, reason);
  }
}

/** No action needed: `close` follows, and the socket keeps the error. */
function ignore(): void {}

function reasonOf(error: NodeJS.ErrnoException | null): CloseReason {
  if (error === null) return 'completed';
  return error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'client-reset' : 'client-lost';
}
