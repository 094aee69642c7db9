/** Decides when requests are due. Times are monotonic milliseconds. */
export interface LoadSchedule {
  /** Takes the next request if it is due and returns its due time, otherwise undefined. */
  take(nowMs: number): number | undefined;
  /** When the next request is due, or Infinity after the last. */
  nextDueMs(nowMs: number): number;
  /** Requests due by now but not taken. */
  waiting(nowMs: number): number;
}

/**
 * Open loop: request i is due at `startMs` + i / rate, regardless of earlier requests. All times are counted from the
 * start, so there is no drift. A request taken late keeps its due time, which corrects for coordinated omission: a
 * stalled server is charged for every request that would have arrived meanwhile.
 */
export class OpenSchedule implements LoadSchedule {
  readonly #startMs: number;
  readonly #perSecond: number;
  readonly #limit: number;
  #taken = 0;

  /** `limit`: total number of requests. */
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
    // The division may round either way, so compare exact times.
    let due = Math.max(0, guess - 1);
    while (this.#dueMs(due) <= nowMs) due += 1;
    return Math.max(0, Math.min(due, this.#limit) - this.#taken);
  }

  #dueMs(index: number): number {
    return this.#startMs + (index * 1000) / this.#perSecond;
  }
}

/** Closed loop: a request is due as soon as a lane can send it. */
export class ClosedSchedule implements LoadSchedule {
  #left: number;

  /** `limit`: total number of requests. */
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
