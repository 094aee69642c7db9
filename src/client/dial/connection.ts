import type { Socket } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import { systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { describeNetworkError } from './network-error.ts';
import type { Target } from './target.ts';
import { type Patience, throwIfInterrupted, waitFor } from './wait.ts';

/** Where a socket ends: an address without brackets, and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface ConnectionOptions extends ConnectOptions {
  /** Milliseconds of silence before the first keepalive probe (tcp(7), TCP_KEEPIDLE); without it there are none. */
  readonly keepAliveMs?: number | undefined;
}

/** All that came, and how it came to an end. */
export interface Received {
  readonly bytes: Uint8Array;
  /**
   * `finished`: FIN. `reset`: RST, after what came. `limit`: there is more than was wanted. `timeout`: neither more nor
   * an end came in time.
   */
  readonly end: 'finished' | 'reset' | 'limit' | 'timeout';
  /** When the first bytes came, on the monotonic clock; where none did, the end. */
  readonly firstAtMs: number;
}

/** A TCP connection that is read when its owner asks: what nobody asks for stays in the kernel, and the peer waits. */
export class Connection {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #patience: Patience;
  #error: Error | undefined;
  #isFinished = false;
  /** Who waits for something to happen: a reader and a writer may do so at once. */
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

  /**
   * The next bytes; undefined after the peer's FIN. Throws `CONNECTION_LOST` after a reset, and `NO_ANSWER` where
   * neither comes within the timeout.
   */
  async read(timeoutMs: number = this.#patience.timeoutMs): Promise<Uint8Array | undefined> {
    // What has come is taken before it is asked how the connection ended.
    const now = this.#take();
    if (now !== 'nothing yet') {
      throwIfInterrupted(this.#patience.signal);
      return now;
    }
    const late = (waited: string): SmallservdError =>
      new SmallservdError('NO_ANSWER', `${this.#name}: nothing came within ${waited}`);
    return waitFor({ ...this.#patience, timeoutMs }, late, (resolve, reject) =>
      this.#watch(() => {
        const next = this.#take();
        if (next !== 'nothing yet') resolve(next);
      }, reject),
    );
  }

  /**
   * Reads up to the peer's end, at most `limit` bytes, within one timeout for all of it. Throws only where nothing came
   * at all: `CONNECTION_LOST`, `NO_ANSWER`.
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
    const silence = (waited: string): SmallservdError =>
      new SmallservdError('NO_ANSWER', `${this.#name}: nothing came within ${waited}`);
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
      return await waitFor<Received>(this.#patience, silence, (resolve, reject) =>
        this.#watch(() => take(resolve), reject),
      );
    } catch (error) {
      const code = error instanceof SmallservdError ? error.code : undefined;
      if (length > 0 && code === 'CONNECTION_LOST') return received('reset');
      if (length > 0 && code === 'NO_ANSWER') return received('timeout');
      throw error;
    }
  }

  /**
   * Sends the bytes; resolves when the peer's windows and our buffers leave room for more. Throws `CONNECTION_LOST` and
   * `NO_ANSWER`.
   */
  async write(bytes: Uint8Array | string, timeoutMs: number = this.#patience.timeoutMs): Promise<void> {
    throwIfInterrupted(this.#patience.signal);
    if (this.#error !== undefined) throw this.#lost(this.#error);
    if (this.#socket.write(bytes)) return;
    const late = (waited: string): SmallservdError =>
      new SmallservdError('NO_ANSWER', `${this.#name}: takes nothing, for ${waited}`);
    await waitFor<void>({ ...this.#patience, timeoutMs }, late, (resolve, reject) =>
      this.#watch(() => {
        if (this.#error !== undefined) throw this.#lost(this.#error);
        if (!this.#socket.writableNeedDrain) resolve();
      }, reject),
    );
  }

  /** Sends FIN, after all that was written. The peer can still send. */
  finish(): void {
    this.#socket.end();
  }

  /**
   * Whether the peer has reset the connection after its FIN, which only a write learns: it sends one byte. What the
   * peer makes of that byte comes too late to count.
   */
  async isResetAfterFinish(): Promise<boolean> {
    if (this.#error !== undefined) return true;
    // The kernel refuses at once (EPIPE), and the callback is told before anything else can be read from the network.
    return new Promise((resolve) => {
      this.#socket.write('\0', (error) => resolve(error instanceof Error));
    });
  }

  /** Ends it at once, both ways. */
  destroy(): void {
    this.#socket.destroy();
  }

  get #name(): string {
    return formatHostPort(this.peer.address, this.peer.port);
  }

  /** What has come; undefined where the peer has finished. */
  #take(): Uint8Array | undefined | 'nothing yet' {
    const chunk = this.#socket.read() as Buffer | null;
    if (chunk !== null) return chunk;
    if (this.#isFinished) return undefined;
    if (this.#error !== undefined || this.#socket.destroyed)
      throw this.#lost(this.#error ?? new Error('it was closed'));
    return 'nothing yet';
  }

  /** Calls `look` now and at each change, until the returned function is called. */
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

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #lost(cause: Error): SmallservdError {
    return new SmallservdError('CONNECTION_LOST', `${this.#name}: ${describeNetworkError(cause)}`, { cause });
  }
}
