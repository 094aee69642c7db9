import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { SubordinateIds } from '../../address/subordinate-ids.ts';
import type { Acceptor, AcceptorOptions } from './acceptor.ts';
import { bindPrivately } from './bound-file.ts';
import { type BoundAddress, listenOptions, type StreamTarget } from './listener.ts';
import { NodeStreamSocket } from './node-stream-socket.ts';
import {
  readPeerAddress,
  readPeerUser,
  refuseDescriptorsAt,
  refuseDescriptorsOfEarly,
  type SocketAddress,
} from './socket-handle.ts';
import { parsePeer } from './zone.ts';

/** Reused for every client, and read immediately. */
const peer: SocketAddress = { address: '', port: 0 };

/** Accepts clients with a server of Node's, for systems without libc. */
export class NodeAcceptor implements Acceptor {
  readonly #options: AcceptorOptions;
  readonly #server: Server;
  /** Undefined for TCP. */
  readonly #subordinateIds: SubordinateIds | undefined;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    if (options.target.transport === 'unix') this.#subordinateIds = SubordinateIds.read();
    this.#server = createServer({
      // A client's FIN must not end our side.
      allowHalfOpen: true,
      // Report backpressure for anything that the kernel does not accept immediately, on every version of Node (whose
      // default is 16 or 64 KiB). A client that reads nothing then costs only the chunk being written, 64 KiB.
      highWaterMark: 0,
      pauseOnConnect: true,
    });
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  get isOpen(): boolean {
    return this.#server.listening;
  }

  async open(): Promise<BoundAddress> {
    const { target, socket, events } = this.#options;
    const listening = once(this.#server, 'listening');
    const listen = (): unknown => this.#server.listen({ ...listenOptions(target), backlog: socket.backlog });
    if ('access' in target) bindPrivately(listen);
    else listen();
    await listening;
    if (target.transport === 'unix') refuseDescriptorsAt(this.#server);
    this.#server.on('error', (error) => events.failed(error));
    return boundAddress(this.#server, target);
  }

  close(): void {
    if (this.#server.listening) this.#server.close();
  }

  #accept(socket: Socket): void {
    const { events, target } = this.#options;
    if (target.transport === 'unix' && refuseDescriptorsOfEarly(socket)) return;
    const stream = new NodeStreamSocket(socket);
    if (this.#subordinateIds !== undefined) {
      events.connectedLocally(stream, readPeerUser(socket, this.#subordinateIds));
      return;
    }
    const source = readPeerAddress(socket, peer) ? parsePeer(peer.address) : undefined;
    events.connected(stream, source, peer.port);
  }
}

function boundAddress(server: Server, target: StreamTarget): BoundAddress {
  const address = server.address();
  // Node has no address for an inherited UNIX socket.
  if (address === null)
    return (
      ('fd' in target ? target.bound : undefined) ?? {
        transport: 'unix',
        address: 'fd' in target ? `fd ${target.fd}` : '',
        port: 0,
      }
    );
  if (typeof address === 'string') return { transport: 'unix', address, port: 0 };
  return { transport: 'tcp', address: address.address, port: address.port };
}
