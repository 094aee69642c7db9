import type { StreamClient } from './stream-client.ts';

/**
 * A listener's clients. Each knows its index, so adding and removing cost no hashing: a Set took 4 of 54 µs of a
 * daytime connection.
 */
export class ClientList {
  readonly #clients: StreamClient[] = [];

  get length(): number {
    return this.#clients.length;
  }

  add(client: StreamClient): void {
    client.index = this.#clients.length;
    this.#clients.push(client);
  }

  /** The last client takes the place of the one that leaves. A client that is not here is ignored. */
  remove(client: StreamClient): void {
    if (this.#clients[client.index] !== client) return;
    const last = this.#clients.pop();
    if (last === undefined || last === client) return;
    last.index = client.index;
    this.#clients[client.index] = last;
  }

  /** Calls `visit` once for each; clients may leave meanwhile. */
  each(visit: (client: StreamClient) => void): void {
    for (const client of this.#clients.slice()) visit(client);
  }
}
