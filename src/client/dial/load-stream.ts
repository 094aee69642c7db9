import { createConnection, type Socket } from 'node:net';
import { type ConnectOptions, connect } from './connect.ts';
import type { HostAddress } from './resolve-host.ts';
import type { Target } from './target.ts';

/** What happens on a connection, to whoever put it under load. */
export interface LoadStreamEvents {
  connected(): void;
  /** The first `length` of `bytes` came; they are only valid during the call. */
  data(bytes: Uint8Array, length: number): void;
  /** The peer has finished. */
  ended(): void;
  /** Nothing follows. */
  failed(error: Error): void;
}

/**
 * All connections are read into this one: libuv fills it and calls back at once, on every UNIX (uv__read). So nothing
 * is allocated for what comes, however many they are.
 */
const readBuffer = Buffer.alloc(64 * 1024);

const nobody: LoadStreamEvents = { connected() {}, data() {}, ended() {}, failed() {} };

/** A TCP connection with callbacks instead of promises, for those who hold thousands and count microseconds. */
export class LoadStream {
  readonly address: HostAddress;
  readonly #socket: Socket;
  #events: LoadStreamEvents;

  private constructor(socket: Socket, address: HostAddress, events: LoadStreamEvents) {
    this.#socket = socket;
    this.address = address;
    this.#events = events;
    socket.on('end', () => this.#events.ended());
    socket.on('error', (error) => this.#events.failed(error));
  }

  /** Begins to connect to this address, without a timeout. */
  static open(address: HostAddress, port: number, events: LoadStreamEvents): LoadStream {
    const socket = createConnection({
      host: address.address,
      port,
      family: address.family === 'ipv6' ? 6 : 4,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length, bytes) => {
          stream.#events.data(bytes, length);
          return true;
        },
      },
    });
    const stream = new LoadStream(socket, address, events);
    socket.once('connect', () => stream.#events.connected());
    return stream;
  }

  /**
   * Connects to the first address that answers, as `connect` does and with its errors. Reads nothing before `attach`.
   */
  static async first(target: Target, options: ConnectOptions): Promise<LoadStream> {
    const socket = await connect(target, options);
    const family = socket.remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4';
    return new LoadStream(socket, { address: socket.remoteAddress ?? target.host, family }, nobody);
  }

  /** Hands a stream that `first` made to its user; it is connected already. */
  attach(events: LoadStreamEvents): void {
    this.#events = events;
    this.#socket.on('data', (bytes) => this.#events.data(bytes, bytes.length));
  }

  /** `taken` is called when the kernel has all of it, or refuses. The bytes must not change before that. */
  write(bytes: Uint8Array, taken?: (error?: Error | null) => void): void {
    this.#socket.write(bytes, taken);
  }

  /** Ends it at once; no event follows. */
  destroy(): void {
    this.#events = nobody;
    this.#socket.destroy();
  }
}
