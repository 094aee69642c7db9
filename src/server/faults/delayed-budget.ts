import type { DelayedLimits } from './fault-rules.ts';

/** What a chunk of a stream costs in addition to its bytes. Else single bytes would take a hundred times their size. */
const chunkOverheadBytes = 128;

/** Counts what a service delays in this process, and refuses what exceeds the limits. */
export class DelayedBudget {
  /** May change while something is delayed. That counts on. */
  limits: DelayedLimits = { datagrams: 0, bytes: 0 };
  #datagrams = 0;
  #bytes = 0;

  /** Whether so much is delayed that streams should wait for their turn. Datagrams cannot wait. */
  get isTight(): boolean {
    return this.#bytes > this.limits.bytes / 2;
  }

  /** Returns false, and takes nothing, if the datagram does not fit. Else give it back. */
  takeDatagram(bytes: number): boolean {
    if (this.#datagrams >= this.limits.datagrams || this.#bytes + bytes > this.limits.bytes) return false;
    this.#datagrams += 1;
    this.#bytes += bytes;
    return true;
  }

  giveDatagram(bytes: number): void {
    this.#datagrams -= 1;
    this.#bytes -= bytes;
  }

  /** Returns false, and takes nothing, if the chunk does not fit. Else give it back. */
  takeChunk(bytes: number): boolean {
    const cost = bytes + chunkOverheadBytes;
    if (this.#bytes + cost > this.limits.bytes) return false;
    this.#bytes += cost;
    return true;
  }

  giveChunk(bytes: number): void {
    this.#bytes -= bytes + chunkOverheadBytes;
  }
}
