import { type IpcSocketConnectOpts, Socket, type SocketConnectOpts, type TcpSocketConnectOpts } from 'node:net';
import { onTestFinished } from 'vitest';
import { until } from './wait.ts';

/** A stream client: what it has received, and how its connection ended. It is gone when the test is over. */
export class TcpClient {
  readonly socket: Socket;
  /** The server has sent FIN. */
  ended = false;
  /** `address:port`, an IPv6 address in brackets, or `unix:0` by the user: as the log names this client. */
  name = `unix:${process.geteuid?.()}`;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  readonly #chunks: Buffer[] = [];
  #length = 0;

  private constructor(socket: Socket, reads: boolean) {
    this.socket = socket;
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('end', () => {
      this.ended = true;
    });
    if (reads) this.read();
    onTestFinished(() => {
      socket.destroy();
    });
  }

  /** `reads: false`: takes nothing from its socket until `read` is called. */
  static async connect(
    target: Pick<TcpSocketConnectOpts, 'host' | 'port' | 'localAddress'> | Pick<IpcSocketConnectOpts, 'path'>,
    { reads = true } = {},
  ): Promise<TcpClient> {
    const socket = new Socket({ allowHalfOpen: true });
    const client = new TcpClient(socket, reads);
    socket.connect(target as SocketConnectOpts);
    await until(() => !socket.connecting || client.closed, `a connection to ${JSON.stringify(target)}`);
    if (client.error !== undefined) throw client.error;
    const { localAddress, localPort } = socket;
    if (localAddress !== undefined)
      client.name = localAddress.includes(':') ? `[${localAddress}]:${localPort}` : `${localAddress}:${localPort}`;
    return client;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  get length(): number {
    return this.#length;
  }

  read(): void {
    this.socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
    });
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  /** Sends FIN, after `bytes`. */
  finish(bytes: Uint8Array | string = ''): void {
    this.socket.end(bytes);
  }

  /** Sends RST; a UNIX socket has none, and is closed. */
  abort(): void {
    if (this.socket.remoteAddress === undefined) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  /** Waits for so many bytes, and gives all that has come. */
  async take(length: number): Promise<Buffer> {
    await until(() => this.#length >= length || this.closed || this.ended, `${length} bytes`);
    if (this.#length < length) throw new Error(`the connection ended after ${this.#length} of ${length} bytes`);
    return this.bytes;
  }

  /** Waits for the server's FIN, and gives all that came before. */
  async takeAll(): Promise<Buffer> {
    await until(() => this.ended || this.closed, "the server's FIN");
    if (this.error !== undefined) throw this.error;
    return this.bytes;
  }

  /** Waits until the server has ended the connection, by FIN or by a reset. */
  async cut(): Promise<void> {
    await until(() => this.ended || this.closed, 'the end of the connection');
  }

  /** Waits until the connection is gone, by FIN of both sides or by a reset. */
  async gone(): Promise<void> {
    await until(() => this.closed, 'the end of the connection');
  }
}
