import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { AdminConnection, type AdminConnectionOptions } from './connection.ts';
import { AdminConnections } from './connections.ts';
import { AdminPages } from './pages.ts';
import type { SnapshotSource } from './snapshot.ts';

/**
 * The admin endpoint: read-only HTTP with one request per connection. It parses headers itself, because Node's server
 * drops malformed requests without an answer, silently ignores header fields over its limit, and resets connections
 * with unread input.
 */
export class AdminServer {
  readonly #options: AdminConnectionOptions;
  readonly #connections = new AdminConnections();
  readonly #servers: Server[] = [];

  constructor(source: SnapshotSource, hosts: readonly string[], clock: Clock = systemClock) {
    const pages = new AdminPages(source, hosts, clock);
    this.#options = {
      clock,
      answer: async (request) => pages.answer(request),
      heard: (connection) => this.#connections.heard(connection),
      closed: (connection) => this.#connections.remove(connection),
    };
  }

  /** Adds a listening address. Rejects with the system's error. */
  async open(options: ListenOptions): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options, () => {
        server.off('error', reject);
        // For example EMFILE: this client is lost, but the next may be served.
        server.on('error', () => {});
        resolve();
      });
    });
    this.#servers.push(server);
  }

  /** The port of the first address. Undefined for a UNIX socket. */
  get port(): number | undefined {
    const address = this.#servers[0]?.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  /** The number of connected clients. */
  get clients(): number {
    return this.#connections.size;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    this.#connections.destroyAll();
  }

  #accept(socket: Socket): void {
    this.#connections.add(new AdminConnection(socket, this.#options));
  }
}
