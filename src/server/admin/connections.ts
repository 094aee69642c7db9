import type { AdminConnection } from './connection.ts';

/** The most concurrent connections. They fit into the descriptors reserved from clients, if one process serves both. */
const maxConnections = 24;

/** How many more to allow briefly, until their input has been read. */
const maxUnread = 8;

/** The most answers in progress to protect from eviction. Without a limit, newcomers could evict each other. */
const maxProtected = 16;

/** The parts of a connection that matter for eviction. */
export type Evictable = Pick<AdminConnection, 'state' | 'destroy'>;

/**
 * The connections of the endpoint. When it is full, a newcomer evicts a connection that has its answer, otherwise one
 * that is still asking, otherwise one being answered. Among equals, the one silent longest goes. Health probes can
 * therefore not be locked out.
 */
export class AdminConnections {
  /** Longest silent first. */
  readonly #connections = new Set<Evictable>();
  readonly #afterReading: (task: () => void) => void;

  /** `afterReading` runs a task once all input received so far has been read. */
  constructor(afterReading: (task: () => void) => void = afterNextPoll) {
    this.#afterReading = afterReading;
  }

  get size(): number {
    return this.#connections.size;
  }

  add(connection: Evictable): void {
    if (this.#connections.size >= maxConnections + maxUnread) this.#evict();
    this.#connections.add(connection);
    // A probe accepted together with many others may have sent its request already, so read before evicting.
    if (this.#connections.size > maxConnections)
      this.#afterReading(() => {
        if (this.#connections.size > maxConnections) this.#evict();
      });
  }

  /** Marks the connection as active: it has sent data or accepted part of its answer. */
  heard(connection: Evictable): void {
    if (this.#connections.delete(connection)) this.#connections.add(connection);
  }

  remove(connection: Evictable): void {
    this.#connections.delete(connection);
  }

  destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #evict(): void {
    const answering = this.#in('answering');
    const [first] = [...this.#in('closing'), ...(answering.length > maxProtected ? answering : this.#in('asking'))];
    if (first === undefined) return;
    // Its `close` event comes later.
    this.remove(first);
    first.destroy();
  }

  #in(state: Evictable['state']): readonly Evictable[] {
    return [...this.#connections].filter((connection) => connection.state === state);
  }
}

/** Node accepts and reads in the same event loop phase, so a new connection is first read one turn later. */
function afterNextPoll(task: () => void): void {
  setImmediate(() => setImmediate(task));
}
