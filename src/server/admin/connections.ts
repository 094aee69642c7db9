import type { AdminConnection } from './connection.ts';

/**
 * Connections that may be there at a time: within what the process keeps free of clients, where one process serves
 * both.
 */
const maxConnections = 24;

/** How many more may be there for a moment, until what they have sent is read. */
const maxUnread = 8;

/**
 * How many answers under way keep their place against newcomers: with all places theirs, each newcomer would cost the
 * one before its own.
 */
const maxProtected = 16;

/** What counts of a connection. */
export type Evictable = Pick<AdminConnection, 'state' | 'destroy'>;

/**
 * The connections of the endpoint. When all places are taken, one gives way to the next: one that has had its answer,
 * else one that is not being answered, else one that is; of several the one that has been silent longest. So nobody can
 * keep a health probe out.
 */
export class AdminConnections {
  /** Silent longest first. */
  readonly #connections = new Set<Evictable>();
  readonly #afterReading: (task: () => void) => void;

  /** `afterReading` calls when all has been read that had come. */
  constructor(afterReading: (task: () => void) => void = afterNextPoll) {
    this.#afterReading = afterReading;
  }

  get size(): number {
    return this.#connections.size;
  }

  add(connection: Evictable): void {
    if (this.#connections.size >= maxConnections + maxUnread) this.#evict();
    this.#connections.add(connection);
    // A probe that was accepted in one go with a crowd has sent its request, and is not as silent as it looks.
    if (this.#connections.size > maxConnections)
      this.#afterReading(() => {
        if (this.#connections.size > maxConnections) this.#evict();
      });
  }

  /** It has asked, or has taken a part of its answer: it is the least silent from now on. */
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
    // Its `close` comes later.
    this.remove(first);
    first.destroy();
  }

  #in(state: Evictable['state']): readonly Evictable[] {
    return [...this.#connections].filter((connection) => connection.state === state);
  }
}

/**
 * Node accepts and reads in one phase of its event loop, and calls back in the next: what was accepted is read a turn
 * later.
 */
function afterNextPoll(task: () => void): void {
  setImmediate(() => setImmediate(task));
}
