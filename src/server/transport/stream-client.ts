import { isUint8Array } from 'node:util/types';
import { isIpv4 } from '../../address/ip-address.ts';
import type { TcpInfo } from '../../kernel/streams.ts';
import type { StreamCounters } from '../counters.ts';
import type { HandlerTimer } from '../handler-time.ts';
import { Deadlines } from '../guard/deadlines.ts';
import { isUnixUser, type Source } from '../guard/source-prefix.ts';
import type { Place, PlaceHolder } from '../guard/source-tree.ts';
import type { StreamLimits } from '../guard/limits.ts';
import { maxUndeliveredBytes } from './kernel-stream-socket.ts';
import type { CutClient } from './faulty-stream-socket.ts';
import type { SocketOptions } from './socket-options.ts';
import type { StreamSocket, StreamSocketUser } from './stream-socket.ts';
import { synchronous } from './synchronous.ts';
import { formatPeer } from './zone.ts';
import type { Client, CloseReason, PeerAddress, Service, StreamHandlers } from '../../service.ts';

/** Events of a client for its listener, each at most once. */
export interface StreamClientEvents {
  /** The service answered immediately and needs no input. The listener must call `discardInput`. */
  answered(client: StreamClient): void;
  closed(client: StreamClient, reason: CloseReason): void;
  clientFailed(client: StreamClient, error: unknown): void;
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
  /** The listener, as its address in the config. */
  readonly listener: string;
  readonly limits: StreamLimits;
  /** Monotonic time. */
  readonly openedAtMs: number;
  readonly timer: HandlerTimer;
  readonly events: StreamClientEvents;
  /** Undefined if the client connected directly. */
  readonly proxied: Proxied | undefined;
}

const unixPeer: PeerAddress = { family: 'unix', address: '', port: 0 };

/** For services that ignore a client's data. */
const noHandlers: StreamHandlers = {};

/** A connection from admission to its closing: backpressure, half-close, quota, linger and the close reason. */
export class StreamClient implements Client, PlaceHolder, StreamSocketUser, CutClient {
  readonly place: Place;
  /** The local address that the client connected to. */
  readonly local: string;
  readonly listener: string;
  readonly openedAtMs: number;
  /** Position in the listener's client list. */
  index = -1;
  readonly #socket: StreamSocket;
  readonly #options: StreamClientOptions;
  /** Created at the first sweep, because most clients are gone by then. */
  #deadlines: Deadlines | undefined;
  #handlers: StreamHandlers | undefined;
  #received = 0;
  #written = 0;
  /** What the counters of the service include. */
  #countedIn = 0;
  #countedOut = 0;
  /** What the client has acknowledged, as of the last sweep. */
  #acknowledged = 0;
  /** Until the client has taken what was written. */
  #isWaiting = false;
  /** By the service, until it resumes. */
  #isPaused = false;
  #ending = false;
  #drainedScheduled = false;
  /** Unsent bytes of a destroyed socket, which itself forgets them. */
  #abandoned: number | undefined;
  #reason: CloseReason | undefined;

  constructor(socket: StreamSocket, place: Place, options: StreamClientOptions) {
    this.#socket = socket;
    this.place = place;
    place.holder = this;
    this.#options = options;
    this.local = options.local;
    this.listener = options.listener;
    this.openedAtMs = options.openedAtMs;
    socket.use(this);
  }

  get peer(): PeerAddress {
    const { source, port } = this.#options;
    if (isUnixUser(source)) return unixPeer;
    return { family: isIpv4(source) ? 'ipv4' : 'ipv6', address: formatPeer(source), port };
  }

  get uid(): number | undefined {
    const { source } = this.#options;
    return isUnixUser(source) ? source.uid : undefined;
  }

  get tcpInfo(): TcpInfo | undefined {
    return this.#socket.tcpInfo;
  }

  get via(): string | undefined {
    return this.#options.proxied?.via;
  }

  /** Bytes received from the client, including those discarded after the answer, but not a PROXY header. */
  get bytesIn(): number {
    return this.#socket.received - (this.#options.proxied?.headerLength ?? 0);
  }

  /** Bytes that the kernel has accepted for the client. After a reset, this may include one write too many. */
  get bytesOut(): number {
    return this.#written - (this.#abandoned ?? this.#socket.unsent);
  }

  /** Adds to the counters what has passed since the last call. */
  count(counters: Pick<StreamCounters, 'bytesIn' | 'bytesOut'>): void {
    const { bytesIn, bytesOut } = this;
    counters.bytesIn += bytesIn - this.#countedIn;
    this.#countedIn = bytesIn;
    // A reset can take back what was written, but nothing that has been counted.
    counters.bytesOut += Math.max(0, bytesOut - this.#countedOut);
    this.#countedOut = Math.max(bytesOut, this.#countedOut);
  }

  serve(service: Service, socketOptions: SocketOptions): void {
    const { timer } = this.#options;
    const beganMs = timer.begin();
    try {
      this.#handlers = synchronous(service.stream?.(this)) ?? noHandlers;
      timer.end(beganMs);
    } catch (error) {
      this.#fail(error);
      return;
    }
    // Already answered. Keepalive and Nagle's algorithm do not matter while lingering, so save the system calls.
    if (this.#ending) return;
    this.#socket.setOptions(socketOptions);
    this.#read();
    this.#scheduleDrained();
  }

  write(bytes: Uint8Array): void {
    assertBytes(bytes);
    if (this.#ending || bytes.length === 0) return;
    const part = this.#withinQuota(bytes);
    this.#socket.write(part);
    if (this.#socket.takesMore) this.#scheduleDrained();
    else if (this.#handlers?.data !== undefined) this.#waitUntilFlushed();
    if (this.#isQuotaSpent) this.#finish('quota');
  }

  end(bytes?: Uint8Array): void {
    if (bytes !== undefined) assertBytes(bytes);
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
    this.#isWaiting = false;
    this.#isPaused = false;
    this.#socket.startReading();
  }

  pause(): void {
    if (this.#ending || this.#isPaused) return;
    this.#isPaused = true;
    if (!this.#isWaiting) this.#socket.stopReading();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#read();
  }

  /** Checks the deadlines. The listener calls it at every sweep. */
  sweep(nowMs: number): void {
    this.#deadlines ??= new Deadlines(this.#options.limits, this.openedAtMs);
    // The kernel is asked only about clients that may be behind.
    const pending = this.#written === this.#acknowledged ? 0 : this.#socket.review();
    this.#acknowledged = this.#written - pending;
    if (this.#socket.isFinished && pending <= maxUndeliveredBytes) this.#deadlines.finished(nowMs);
    const deadline = this.#deadlines.passed(nowMs, this.bytesIn, this.#acknowledged, pending);
    if (deadline !== undefined) this.destroy(deadline === 'linger' ? 'completed' : deadline);
    else if (this.#deadlines.activeMs === nowMs) this.place.renew();
  }

  evict(): void {
    // A client that has its complete answer and our FIN loses nothing. The sweep would close it for the same reason.
    const hasAnswer = this.#socket.isFinished && this.#socket.review() <= maxUndeliveredBytes;
    this.destroy(hasAnswer ? 'completed' : 'evicted');
  }

  /** Called by the faults. */
  closeByFault(): void {
    this.#finish('fault');
  }

  /** Called by the faults. */
  resetByFault(): void {
    this.destroy('fault');
  }

  /** Called by the faults. */
  withheld(bytes: number): void {
    this.#received += bytes;
    if (!this.#ending && this.#isQuotaSpent) this.#finish('quota');
  }

  /** Closes the connection immediately. Keeps the first reason. */
  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#ending = true;
    this.#abandoned ??= this.#socket.unsent;
    // A client that reads nothing will not read what the kernel holds for it either. Without a reset, the kernel would
    // keep that for minutes, megabytes per client.
    const isCut = reason === 'stalled' || reason === 'evicted' || reason === 'lifetime' || reason === 'idle';
    const mustReset = reason === 'fault' || (isCut && this.#isBehind);
    // UNIX sockets cannot be reset.
    if (mustReset && !isUnixUser(this.#options.source)) this.#socket.reset();
    else this.#socket.destroy();
  }

  get #isBehind(): boolean {
    return this.#socket.unsent > 0 || this.#socket.review() > maxUndeliveredBytes;
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

  /** Called by the socket. */
  received(chunk: Buffer): void {
    this.withheld(chunk.length);
    if (this.#ending) return;
    const { timer } = this.#options;
    const beganMs = timer.begin();
    try {
      synchronous(this.#handlers?.data?.(chunk));
      timer.end(beganMs);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Called by the socket. */
  peerEnded(): void {
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
    if (this.#handlers?.drained === undefined || !this.#socket.takesMore) return;
    if (this.#drainedScheduled || this.#ending) return;
    this.#drainedScheduled = true;
    setImmediate(() => {
      this.#drainedScheduled = false;
      if (this.#ending || !this.#socket.takesMore) return;
      const { timer } = this.#options;
      const beganMs = timer.begin();
      try {
        synchronous(this.#handlers?.drained?.());
        timer.end(beganMs);
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  /** Called by the socket. */
  flushed(): void {
    if (this.#isWaiting) {
      this.#isWaiting = false;
      this.#read();
    }
    this.#scheduleDrained();
  }

  #waitUntilFlushed(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    if (!this.#isPaused) this.#socket.stopReading();
  }

  #read(): void {
    if (!this.#isWaiting && !this.#isPaused) this.#socket.startReading();
  }

  #fail(error: unknown): void {
    this.#options.events.clientFailed(this, error);
    this.destroy('service-error');
  }

  /** Called by the socket. */
  closed(): void {
    this.#ending = true;
    const reason = this.#reason ?? reasonOf(this.#socket.errorCode);
    try {
      synchronous(this.#handlers?.closed?.(reason));
    } catch (error) {
      this.#options.events.clientFailed(this, error);
    }
    this.#options.events.closed(this, reason);
  }
}

/** Modules may be in JavaScript. A number or a text would spoil the counters of the worker. */
function assertBytes(bytes: unknown): asserts bytes is Uint8Array {
  if (!isUint8Array(bytes)) throw new TypeError(`expected bytes (a Uint8Array), not ${describeType(bytes)}`);
}

function describeType(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;
}

function reasonOf(errorCode: string | undefined): CloseReason {
  if (errorCode === undefined) return 'completed';
  return errorCode === 'ECONNRESET' || errorCode === 'EPIPE' ? 'client-reset' : 'client-lost';
}
