/** When requests are due. Times are monotonic milliseconds. */
export interface LoadSchedule {
  /** Takes the next request where it is due by now, and gives the time at which it was due; undefined where none is. */
  take(nowMs: number): number | undefined;
  /** When the next request is due; Infinity after the last. */
  nextDueMs(nowMs: number): number;
  /** Requests that are due by now and that nobody has taken. */
  waiting(nowMs: number): number;
}

/**
 * Open loop: the request with number i is due at `startMs` + i / rate, whatever became of those before. Each time is
 * counted from the start, so that nothing drifts; a request that is taken late keeps the time at which it was due,
 * which accounts for coordinated omission: a server that stalls is charged for all who would have come meanwhile.
 */
export class OpenSchedule implements LoadSchedule {
  readonly #startMs: number;
  readonly #perSecond: number;
  readonly #limit: number;
  #taken = 0;

  /** `limit`: how many requests there are in all. */
  constructor(startMs: number, perSecond: number, limit: number = Infinity) {
    this.#startMs = startMs;
    this.#perSecond = perSecond;
    this.#limit = limit;
  }

  take(nowMs: number): number | undefined {
    const dueMs = this.nextDueMs();
    if (dueMs > nowMs) return undefined;
    this.#taken += 1;
    return dueMs;
  }

  nextDueMs(): number {
    return this.#taken < this.#limit ? this.#dueMs(this.#taken) : Infinity;
  }

  waiting(nowMs: number): number {
    const guess = Math.max(0, Math.floor(((nowMs - this.#startMs) * this.#perSecond) / 1000));
    // The division may round to either side: the times themselves decide.
    let due = Math.max(0, guess - 1);
    while (this.#dueMs(due) <= nowMs) due += 1;
    return Math.max(0, Math.min(due, this.#limit) - this.#taken);
  }

  #dueMs(index: number): number {
    return this.#startMs + (index * 1000) / this.#perSecond;
  }
}

/** Closed loop: a request is due as soon as somebody can send it. */
export class ClosedSchedule implements LoadSchedule {
  #left: number;

  /** `limit`: how many requests there are in all. */
  constructor(limit: number = Infinity) {
    this.#left = limit;
  }

  take(nowMs: number): number | undefined {
    if (this.#left <= 0) return undefined;
    this.#left -= 1;
    return nowMs;
  }

  nextDueMs(nowMs: number): number {
    return this.#left > 0 ? nowMs : Infinity;
  }

  waiting(): number {
    return 0;
  }
}
