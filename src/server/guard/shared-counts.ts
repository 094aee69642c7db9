/** A hostile process could change a counter all the time, and must not hold up the others. */
const maxTries = 100;

/**
 * Counters that several processes share, so that a limit holds for all of them together. Each process also keeps what
 * it has added itself, so that this can be taken back when it is gone.
 */
export class SharedCounts {
  readonly #all: Int32Array;
  readonly #own: Int32Array;

  /** `all` is what the processes have added together, `own` what this one has: shared memory that holds 0 at first. */
  constructor(all: Int32Array, own: Int32Array) {
    this.#all = all;
    this.#own = own;
  }

  get length(): number {
    return this.#all.length;
  }

  /** What the other processes have added. */
  others(index: number): number {
    // Something negative only if a process was killed while it was counting.
    return Math.max(0, Atomics.load(this.#all, index) - this.#own[index]!);
  }

  /** Adds one, if `here`, what this process has, and what the others have are then at most `limit` together. */
  take(index: number, here: number, limit: number): boolean {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const all = Atomics.load(this.#all, index);
      if (here + Math.max(0, all - this.#own[index]!) >= limit) return false;
      // First of all what would be taken back.
      this.#own[index]! += 1;
      if (Atomics.compareExchange(this.#all, index, all, all + 1) === all) return true;
      this.#own[index]! -= 1;
    }
    return false;
  }

  /** Adds one, whatever the limit. */
  add(index: number): void {
    this.#own[index]! += 1;
    Atomics.add(this.#all, index, 1);
  }

  release(index: number): void {
    Atomics.sub(this.#all, index, 1);
    this.#own[index]! -= 1;
  }

  /** Takes back what a process had added that had the same place and is gone. Call before anything else. */
  takeBack(): void {
    for (const [index, count] of this.#own.entries()) if (count !== 0) Atomics.sub(this.#all, index, count);
    this.#own.fill(0);
  }
}
