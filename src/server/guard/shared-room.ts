/** For how long what a worker has noted counts. One that is silent for longer hangs, or is gone. */
const validMs = 1000;

/** How often each worker must note its number. */
export const roomPeriodMs = 250;

/** For each worker its number, and when it was noted. */
export const roomElements = 2;

/**
 * Which of several processes can make the fairest room in a full service: the one that holds clients of the largest
 * source. Each notes how many connections that source has. A process that holds smaller sources only leaves newcomers
 * to the others. Without that, sources whose connections are all in one process could lock out newcomers of the others.
 */
export class SharedRoom {
  readonly #all: Float64Array;
  readonly #own: number;
  readonly #nowMs: () => number;

  /** `all` is shared memory, `roomElements` for each process, 0 at first. `nowMs` must be the same in all. */
  constructor(all: Float64Array, slot: number, nowMs: () => number) {
    this.#all = all;
    this.#own = slot * roomElements;
    this.#nowMs = nowMs;
  }

  /** `connections`: those of the largest source of which this process holds a client, 0 if it holds none. */
  note(connections: number): void {
    this.#all[this.#own] = connections;
    this.#all[this.#own + 1] = this.#nowMs();
  }

  /** Whether another process has noted more. */
  isMoreElsewhere(connections: number): boolean {
    const sinceMs = this.#nowMs() - validMs;
    for (let index = 0; index < this.#all.length; index += roomElements)
      if (index !== this.#own && this.#all[index]! > connections && this.#all[index + 1]! > sinceMs) return true;
    return false;
  }
}
