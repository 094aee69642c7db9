import { closeSync } from 'node:fs';
import { createFlowMemory } from '../flow-memory.ts';

/**
 * Memory for the flows of proxies, for as long as the daemon has the UDP socket that they come to, and its service has
 * proxies. So a flow outlives the worker that reads it, and a reload.
 */
export class FlowMemories {
  /** By descriptor of the socket. */
  readonly #memories = new Map<number, number>();

  /** Returns the descriptor of the memory for a socket. Throws the system's error. */
  of(socket: number): number {
    const memory = this.#memories.get(socket) ?? createFlowMemory();
    this.#memories.set(socket, memory);
    return memory;
  }

  /** Closes the memory of all sockets but these. */
  keep(sockets: ReadonlySet<number>): void {
    for (const [socket, memory] of this.#memories) {
      if (sockets.has(socket)) continue;
      this.#memories.delete(socket);
      closeSync(memory);
    }
  }
}
