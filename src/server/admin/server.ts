import { once } from 'node:events';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { listenOptions } from '../transport/listener.ts';
import { type OpenOptions, openWhenThere } from '../transport/open-when-there.ts';
import { limitUnsentAt, refuseDescriptorsAt, refuseDescriptorsOfEarly } from '../transport/socket-handle.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { AdminConnection, type AdminConnectionOptions } from './connection.ts';
import { AdminConnections, fewNewcomers } from './connections.ts';
import { EventStreams } from './event-streams.ts';
import { AdminPages } from './pages.ts';
import type { AdminSource } from './live.ts';
import { Turns } from './turns.ts';

/**
 * The admin endpoint: HTTP with one request per connection, read-only except for faults. It parses headers itself,
 * because Node's server drops malformed requests without an answer, silently ignores header fields over its limit, and
 * resets connections with unread input.
 */
export class AdminServer {
  readonly #options: AdminConnectionOptions;
  readonly #connections: AdminConnections;
  readonly #streams: EventStreams;
  readonly #servers: Server[] = [];

  /** `newcomers`: how many connections it may have briefly beyond its limit. */
  constructor(
    source: AdminSource,
    hosts: readonly string[],
    clock: Clock = systemClock,
    newcomers: number = fewNewcomers,
  ) {
    this.#connections = new AdminConnections(clock, newcomers);
    this.#streams = new EventStreams(source, clock, newcomers);
    const pages = new AdminPages(source, hosts, clock);
    this.#options = {
      clock,
      turns: new Turns(clock),
      inputTurns: new Turns(clock),
      answer: async (request) => pages.answer(request),
      streaming: (connection) => {
        // It no longer takes a place that a probe may need.
        this.#connections.remove(connection);
        this.#streams.add(connection);
      },
      heard: (connection) => this.#connections.heard(connection),
      closed: (connection) => {
        this.#connections.remove(connection);
        this.#streams.remove(connection);
      },
    };
  }

  /** Adds a listening address. Rejects with the system's error. */
  async open(options: ListenOptions): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      if (refuseDescriptorsOfEarly(socket)) return;
      this.#connections.add(new AdminConnection(socket, this.#options));
    });
    const listening = once(server, 'listening');
    // `exclusive`, because neither the supervisor nor its child shares the socket.
    server.listen({ ...options, exclusive: true });
    await listening;
    refuseDescriptorsAt(server);
    limitUnsentAt(server);
    // For example EMFILE: this client is lost, but the next may be served.
    server.on('error', () => {});
    this.#servers.push(server);
  }

  /** The port of the first address. Undefined for a UNIX socket. */
  get port(): number | undefined {
    const address = this.#servers[0]?.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  /** The number of connected clients. */
  get clients(): number {
    return this.#connections.size + this.#streams.size;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    this.#connections.destroyAll();
    this.#streams.destroyAll();
  }
}

/**
 * Opens the endpoint on all its addresses. If a name was given, address families that the machine lacks are skipped. On
 * failure, rejects with the listener's error and leaves nothing open.
 */
export async function openAdminServer(
  plan: readonly PlannedListener[],
  source: AdminSource,
  hosts: readonly string[],
  newcomers: number,
  options: OpenOptions,
): Promise<AdminServer> {
  const server = new AdminServer(source, hosts, systemClock, newcomers);
  try {
    await openWhenThere(plan, async ({ target }) => server.open(listenOptions(target)), options);
  } catch (error) {
    server.close();
    throw error;
  }
  return server;
}
