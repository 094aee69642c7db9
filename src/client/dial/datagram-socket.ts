import { createSocket, type Socket } from 'node:dgram';
import { SmallservdError } from '../../errors.ts';
import { describeNetworkError } from './network-error.ts';
import type { HostAddress } from './resolve-host.ts';
import type { Endpoint } from './connection.ts';
import { formatHostPort } from '../../address/host-port.ts';

export interface DatagramHandlers {
  datagram(bytes: Uint8Array): void;
  /** The peer's machine, or this one, reports that the port is unreachable. */
  failed(error: SmallservdError): void;
}

/** A connected UDP socket: it receives only from its peer and learns of closed ports through ICMP (udp(7)). */
export class DatagramSocket {
  readonly peer: Endpoint;
  readonly #socket: Socket;
  #isClosed = false;

  private constructor(socket: Socket, peer: Endpoint, handlers: DatagramHandlers) {
    this.#socket = socket;
    this.peer = peer;
    socket.on('message', (bytes) => handlers.datagram(bytes));
    socket.on('error', (error) => handlers.failed(this.#failure(error)));
  }

  /** Throws `CONNECT_FAILED` if there is no route to the address or the local port is taken. */
  static async open(
    { address, family }: HostAddress,
    port: number,
    handlers: DatagramHandlers,
    localPort = 0,
  ): Promise<DatagramSocket> {
    const socket = createSocket({ type: family === 'ipv6' ? 'udp6' : 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    return new Promise((resolve, reject) => {
      const failed = (cause: Error): void => {
        socket.close();
        const message = `cannot send to ${formatHostPort(address, port)}: ${describeNetworkError(cause, address)}`;
        reject(new SmallservdError('CONNECT_FAILED', message, { cause }));
      };
      socket.once('error', failed);
      socket.bind(localPort, () => {
        socket.connect(port, address, (error?: Error) => {
          socket.removeListener('error', failed);
          if (error instanceof Error) failed(error);
          else resolve(new DatagramSocket(socket, { address, port }, handlers));
        });
      });
    });
  }

  get local(): Endpoint {
    const { address, port } = this.#socket.address();
    return { address, port };
  }

  /** Resolves when the kernel accepts the datagram. Throws `CONNECT_FAILED`, also for ICMP errors of earlier ones. */
  async send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(bytes, (error) => (error === null ? resolve() : reject(this.#failure(error))));
    });
  }

  /** Like `send`, but with a callback, for senders of so many datagrams that a promise for each would cost too much. */
  post(bytes: Uint8Array, taken: (error: Error | null) => void): void {
    this.#socket.send(bytes, taken);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }

  #failure(cause: Error): SmallservdError {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ECONNREFUSED'
        ? 'port unreachable'
        : describeNetworkError(cause, this.peer.address);
    const name = formatHostPort(this.peer.address, this.peer.port);
    return new SmallservdError('CONNECT_FAILED', `cannot reach ${name} over UDP: ${reason}`, { cause });
  }
}
