import { createConnection, type Socket } from 'node:net';
import type { Cancel } from '../../clock/clock.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { needsKernel, type PathControls } from './path-controls.ts';
import type { HostAddress } from './resolve-host.ts';
import type { Target } from './target.ts';
import { dialTcp } from './tcp-dial.ts';

/** Callbacks for the events of a connection under load. */
export interface LoadStreamEvents {
  connected(): void;
  /** Data arrived: the first `length` bytes of `bytes`, valid only during the call. */
  data(bytes: Uint8Array, length: number): void;
  /** The peer has sent FIN. */
  ended(): void;
  /** The connection failed. No further events follow. */
  failed(error: Error): void;
}

/**
 * Shared read buffer for all connections. libuv fills it and calls back immediately (uv__read), on every UNIX, so
 * reading allocates nothing regardless of the number of connections.
 */
const readBuffer = Buffer.alloc(64 * 1024);

const nobody: LoadStreamEvents = { connected() {}, data() {}, ended() {}, failed() {} };

/** A TCP connection with callbacks instead of promises, for callers that hold thousands and count microseconds. */
export class LoadStream {
  readonly address: HostAddress;
  #socket: Socket | undefined;
  #giveUp: Cancel = () => {};
  #events: LoadStreamEvents;

  private constructor(address: HostAddress, events: LoadStreamEvents) {
    this.address = address;
    this.#events = events;
  }

  /** Starts connecting to this address, without a timeout. */
  static open(
    address: HostAddress,
    port: number,
    events: LoadStreamEvents,
    pathControls: PathControls = {},
  ): LoadStream {
    const stream = new LoadStream(address, events);
    if (needsKernel(pathControls)) stream.#dial(port, pathControls);
    else stream.#connect(port, pathControls.sourcePort);
    return stream;
  }

  /** Connects to the first address that answers, with the errors of `connect`. Reads nothing before `attach`. */
  static async first(target: Target, options: ConnectOptions): Promise<LoadStream> {
    const socket = await connect(target, options);
    const family = socket.remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4';
    const stream = new LoadStream({ address: socket.remoteAddress ?? target.host, family }, nobody);
    stream.#listenTo(socket);
    return stream;
  }

  /** Undefined until it is connected. */
  get localPort(): number | undefined {
    return this.#socket?.localPort;
  }

  /** Delivers the events of a stream made by `first`, which is already connected. */
  attach(events: LoadStreamEvents): void {
    this.#events = events;
    this.#socket?.on('data', (bytes) => this.#events.data(bytes, bytes.length));
  }

  /** `taken` is called when the kernel has accepted everything, or refuses. The bytes must not change until then. */
  write(bytes: Uint8Array, taken?: (error?: Error | null) => void): void {
    this.#socket?.write(bytes, taken);
  }

  /** Closes immediately. No further events follow. */
  destroy(): void {
    this.#events = nobody;
    this.#giveUp();
    this.#socket?.destroy();
  }

  /** The fastest way: Node reads into the shared buffer. */
  #connect(port: number, sourcePort: number | undefined): void {
    const socket = createConnection({
      host: this.address.address,
      port,
      family: this.address.family === 'ipv6' ? 6 : 4,
      noDelay: true,
      ...(sourcePort === undefined ? {} : { localPort: sourcePort }),
      onread: {
        buffer: readBuffer,
        callback: (length, bytes) => {
          this.#events.data(bytes, length);
          return true;
        },
      },
    });
    this.#listenTo(socket);
    socket.once('connect', () => this.#events.connected());
  }

  #dial(port: number, pathControls: PathControls): void {
    this.#giveUp = dialTcp(this.address, port, pathControls, {
      connected: (socket) => {
        this.#listenTo(socket);
        this.attach(this.#events);
        this.#events.connected();
      },
      failed: (error) => this.#events.failed(error),
    });
  }

  #listenTo(socket: Socket): void {
    this.#socket = socket;
    socket.on('end', () => this.#events.ended());
    socket.on('error', (error) => this.#events.failed(error));
  }
}
