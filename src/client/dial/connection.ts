import type { Socket } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import { systemClock } from '../../clock/clock.ts';
import { type ErrorCode, SmallservdError } from '../../errors.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { outcomeOf } from './network-error.ts';
import type { Target } from './target.ts';
import { type Patience, throwIfInterrupted, waitFor } from './wait.ts';

/** One end of a socket: an address without brackets, and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface ConnectionOptions extends ConnectOptions {
  /** Milliseconds of silence before the first keepalive probe (tcp(7), TCP_KEEPIDLE). Default: keepalive is off. */
  readonly keepAliveMs?: number | undefined;
}

/** What was received, and how the stream ended. */
export interface Received {
  readonly bytes: Uint8Array;
  /** `finished`: FIN. `reset`: RST after the data. `limit`: more than requested. `timeout`: no more data and no end. */
  readonly end: 'finished' | 'reset' | 'limit' | 'timeout';
  /** Monotonic time of the first bytes, or of the end if there were none. */
  readonly firstAtMs: number;
}

const ends: Partial<Record<ErrorCode, 'reset' | 'timeout' | 'interrupted'>> = {
  CONNECTION_LOST: 'reset',
  NO_ANSWER: 'timeout',
  INTERRUPTED: 'interrupted',
};

/** How an error from a connection ends a stream, or undefined for any other error. */
export function endOf(error: unknown): (typeof ends)[ErrorCode] {
  return error instanceof SmallservdError ? ends[error.code] : undefined;
}

/** A TCP connection that reads only on request. Unread data stays in the kernel, which throttles the peer. */
export class Connection {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #patience: Patience;
  #error: Error | undefined;
  #isFinished = false;
  /** Pending waits. A reader and a writer can be waiting at the same time. */
  readonly #watchers = new Set<() => void>();

  private constructor(socket: Socket, patience: Patience) {
    this.#socket = socket;
    this.#patience = patience;
    this.peer = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    this.local = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    socket.on('error', (error) => {
      this.#error = error;
      this.#changed();
    });
    socket.on('end', () => {
      this.#isFinished = true;
      this.#changed();
    });
    socket.on('close', () => this.#changed());
    socket.on('readable', () => this.#changed());
    socket.on('drain', () => this.#changed());
  }

  /** Throws `HOST_NOT_FOUND` and `CONNECT_FAILED`. */
  static async open(target: Target, options: ConnectionOptions): Promise<Connection> {
    const socket = await connect(target, options);
    if (options.keepAliveMs !== undefined) socket.setKeepAlive(true, options.keepAliveMs);
    return new Connection(socket, options);
  }

  /** Over a socket that is connected and has no listeners. */
  static over(socket: Socket, patience: Patience): Connection {
    return new Connection(socket, patience);
  }

  /**
   * The next bytes, or undefined after FIN. The default timeout is that of the connection. Throws `CONNECTION_LOST`
   * after a reset, and `NO_ANSWER` after the timeout.
   */
  async read(timeoutMs?: number): Promise<Uint8Array | undefined> {
    // Data already received counts before the way the connection ended.
    const now = this.#take();
    if (now !== 'nothing yet') {
      throwIfInterrupted(this.#patience.signal);
      return now;
    }
    return waitFor(this.#patienceOf(timeoutMs), this.#silence, (resolve, reject) =>
      this.#watch(() => {
        const next = this.#take();
        if (next !== 'nothing yet') resolve(next);
      }, reject),
    );
  }

  /**
   * Reads until the peer ends the stream, at most `limit` bytes, with one timeout for the entire read. Throws
   * `CONNECTION_LOST` or `NO_ANSWER` only if nothing arrived.
   */
  async readAll(limit: number): Promise<Received> {
    const { clock = systemClock } = this.#patience;
    const chunks: Uint8Array[] = [];
    let length = 0;
    let firstAtMs: number | undefined;
    const received = (end: Received['end']): Received => ({
      bytes: Buffer.concat(chunks).subarray(0, limit),
      end,
      firstAtMs: firstAtMs ?? clock.monotonicMs(),
    });
    const take = (resolve: (received: Received) => void): void => {
      for (let chunk = this.#take(); chunk !== 'nothing yet'; chunk = this.#take()) {
        if (chunk === undefined) return resolve(received('finished'));
        firstAtMs ??= clock.monotonicMs();
        chunks.push(chunk);
        length += chunk.length;
        if (length > limit) return resolve(received('limit'));
      }
    };
    try {
      return await waitFor<Received>(this.#patience, this.#silence, (resolve, reject) =>
        this.#watch(() => take(resolve), reject),
      );
    } catch (error) {
      const end = endOf(error);
      if (length === 0 || end === undefined || end === 'interrupted') throw error;
      return received(end);
    }
  }

  /** Resolves when the peer's window and our buffers have room for more. Throws `CONNECTION_LOST` and `NO_ANSWER`. */
  async write(bytes: Uint8Array | string, timeoutMs?: number): Promise<void> {
    throwIfInterrupted(this.#patience.signal);
    if (this.#error !== undefined) throw this.#lost(this.#error);
    if (this.#socket.write(bytes)) return;
    const late = (waited: string): SmallservdError =>
      new SmallservdError('NO_ANSWER', `${this.#name}: accepted no data for ${waited}`);
    await waitFor<void>(this.#patienceOf(timeoutMs), late, (resolve, reject) =>
      this.#watch(() => {
        if (this.#error !== undefined) throw this.#lost(this.#error);
        if (!this.#socket.writableNeedDrain) resolve();
      }, reject),
    );
  }

  /** Sends FIN after all pending data. The peer can still send. */
  finish(): void {
    this.#socket.end();
  }

  /**
   * Whether the peer has reset the connection after its FIN. Only a write reveals that, so this sends one byte. The
   * peer's reaction to that byte comes too late to count.
   */
  async isResetAfterFinish(): Promise<boolean> {
    if (this.#error !== undefined) return true;
    // The kernel refuses at once (EPIPE), so the callback runs before anything more is read from the network.
    return new Promise((resolve) => void this.#socket.write('\0', (error) => resolve(error instanceof Error)));
  }

  /** Closes both directions immediately. */
  destroy(): void {
    this.#socket.destroy();
  }

  #patienceOf(timeoutMs: number | undefined): Patience {
    return timeoutMs === undefined ? this.#patience : { ...this.#patience, timeoutMs, sinceMs: undefined };
  }

  get #name(): string {
    return formatHostPort(this.peer.address, this.peer.port);
  }

  /** Received data, or undefined if the peer has finished. */
  #take(): Uint8Array | undefined | 'nothing yet' {
    const chunk = this.#socket.read() as Buffer | null;
    if (chunk !== null) return chunk;
    if (this.#isFinished) return undefined;
    if (this.#error !== undefined || this.#socket.destroyed)
      throw this.#lost(this.#error ?? new Error('it was closed'));
    return 'nothing yet';
  }

  /** Calls `look` now and on every change, until the returned function is called. */
  #watch(look: () => void, reject: (error: Error) => void): () => void {
    const watcher = (): void => {
      try {
        if (this.#error === undefined || this.#socket.readableLength > 0) look();
        else throw this.#lost(this.#error);
      } catch (error) {
        reject(error as Error);
      }
    };
    this.#watchers.add(watcher);
    watcher();
    return () => void this.#watchers.delete(watcher);
  }

  readonly #silence = (waited: string): SmallservdError =>
    new SmallservdError('NO_ANSWER', `${this.#name}: no data within ${waited}`);

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #lost(cause: Error): SmallservdError {
    return new SmallservdError('CONNECTION_LOST', `${this.#name}: ${describeSystemError(cause, 'connection')}`, {
      cause,
      outcome: 'code' in cause ? outcomeOf(cause) : 'reset',
    });
  }
}
