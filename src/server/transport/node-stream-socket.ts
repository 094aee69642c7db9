import type { Socket } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import { startReading, stopReading } from './socket-handle.ts';
import type { SocketOptions } from './socket-options.ts';
import type { StreamSocket, StreamSocketUser } from './stream-socket.ts';

/** A stream socket of Node's, for systems without libc. */
export class NodeStreamSocket implements StreamSocket {
  readonly tcpInfo = undefined;
  readonly #socket: Socket;
  #user: StreamSocketUser | undefined;
  #isReading = false;
  #waitsForDrain = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.pause();
    // Without a listener for `error`, a reset would end the process. `close` follows.
    socket.on('error', ignore);
    socket.on('data', (chunk: Buffer) => this.#user?.received(chunk));
    socket.on('end', () => this.#user?.peerEnded());
    socket.on('close', () => this.#user?.closed());
  }

  get received(): number {
    return this.#socket.bytesRead;
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  get takesMore(): boolean {
    return this.#socket.writableLength === 0;
  }

  get isFinished(): boolean {
    return this.#socket.writableFinished;
  }

  review(): number {
    return this.#socket.writableLength;
  }

  get isDestroyed(): boolean {
    return this.#socket.destroyed;
  }

  get errorCode(): string | undefined {
    const error: NodeJS.ErrnoException | null = this.#socket.errored;
    return error?.code;
  }

  /** An inherited IPv6 socket may also accept IPv4 clients, with IPv4-mapped addresses. */
  get local(): string {
    const { localAddress = '', localPort = 0 } = this.#socket;
    return formatHostPort(localAddress.replace(/^::ffff:(?=\d+\.)/, ''), localPort);
  }

  use(user: StreamSocketUser): void {
    this.#user = user;
  }

  setOptions({ keepAlive, noDelay }: SocketOptions): void {
    if (keepAlive.enabled) this.#socket.setKeepAlive(true, keepAlive.delayMs);
    if (noDelay) this.#socket.setNoDelay(true);
  }

  startReading(): void {
    if (this.#socket.destroyed) return;
    const isAgain = this.#isReading;
    this.#isReading = true;
    this.#socket.resume();
    if (!isAgain) startReading(this.#socket);
  }

  stopReading(): void {
    this.#isReading = false;
    this.#socket.pause();
    stopReading(this.#socket);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
    if (this.#socket.writableLength === 0 || this.#waitsForDrain) return;
    this.#waitsForDrain = true;
    this.#socket.once('drain', () => {
      this.#waitsForDrain = false;
      this.#user?.flushed();
    });
  }

  end(bytes?: Uint8Array): void {
    if (bytes === undefined) this.#socket.end();
    else this.#socket.end(bytes);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

function ignore(): void {}
