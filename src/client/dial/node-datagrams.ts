import { createSocket, type Socket } from 'node:dgram';
import type { Endpoint } from './connection.ts';
import { type CarrierEvents, type DatagramCarrier, receiveBufferBytes } from './datagram-carrier.ts';
import type { PathControls } from './path-controls.ts';
import type { HostAddress } from './resolve-host.ts';

/** Where koffi is missing. Node tells of closed ports only, and not who reports them. */
export class NodeDatagrams implements DatagramCarrier {
  readonly #socket: Socket;

  private constructor(socket: Socket, events: CarrierEvents) {
    this.#socket = socket;
    socket.on('message', (bytes) => events.datagram(bytes));
    socket.on('error', (error) => events.failed(error));
  }

  /** With `isPortShared`, other sockets may have the source port, too. Throws an error with the system's code. */
  static async open(
    { address, family }: HostAddress,
    port: number,
    { sourcePort = 0 }: PathControls,
    events: CarrierEvents,
    isPortShared = false,
  ): Promise<NodeDatagrams> {
    const type = family === 'ipv6' ? 'udp6' : 'udp4';
    const socket = createSocket({ type, recvBufferSize: receiveBufferBytes, reuseAddr: isPortShared });
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        socket.close();
        reject(error);
      };
      socket.once('error', failed);
      socket.bind(sourcePort, () => {
        socket.connect(port, address, (error?: Error) => {
          socket.removeListener('error', failed);
          if (error instanceof Error) failed(error);
          else resolve(new NodeDatagrams(socket, events));
        });
      });
    });
  }

  get local(): Endpoint {
    const { address, port } = this.#socket.address();
    return { address, port };
  }

  send(bytes: Uint8Array, taken: (error: Error | null) => void): void {
    this.#socket.send(bytes, taken);
  }

  close(): void {
    this.#socket.close();
  }
}
