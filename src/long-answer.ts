import type { Client, StreamHandlers } from './service.ts';

/** What waits in the process for a client that does not read. */
const pieceBytes = 32 * 1024;

/**
 * Sends an answer of any length, each piece once the client has taken the one before, and ends the connection. Its
 * `drained` and `end` must be called as those of the client's handlers, or be them.
 */
export class LongAnswer implements StreamHandlers {
  readonly #client: Client;
  #left: Uint8Array;

  constructor(client: Client, answer: Uint8Array) {
    this.#client = client;
    this.#left = answer;
    this.drained();
  }

  drained(): void {
    const piece = this.#left.subarray(0, pieceBytes);
    this.#left = this.#left.subarray(piece.length);
    if (this.#left.length === 0) this.#client.end(piece);
    else this.#client.write(piece);
  }

  /** The client still gets the rest. */
  end(): void {}
}
