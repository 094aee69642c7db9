/** Lines that one source may write into the log in a second. */
export const linesPerSecond = 100;

/** Bounds how many lines one source writes in a second; the others are counted. */
export class LineBudget {
  readonly #limit: number;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #leftOut = 0;

  constructor(limit: number = linesPerSecond) {
    this.#limit = limit;
  }

  /** Whether a line may be written now; one that may not is counted. `nowMs` is monotonic. */
  take(nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= 1000) {
      this.#windowStartMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines >= this.#limit) {
      this.leaveOut();
      return false;
    }
    this.#lines += 1;
    return true;
  }

  /** Counts a line that is not written for another reason. */
  leaveOut(): void {
    this.#leftOut += 1;
  }

  /** The lines left out since the last call. */
  takeLeftOut(): number {
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}
