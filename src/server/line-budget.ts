/** Lines per second that one source may write to the log. */
export const linesPerSecond = 100;

/** Limits how many lines one source writes in any second. The others are counted. */
export class LineBudget {
  /** Times of the last lines, a ring in which `#next` is the oldest. */
  readonly #writtenAtMs: Float64Array;
  #next = 0;
  #leftOut = 0;

  /** `limit` is in lines per second, 1 or more. */
  constructor(limit: number = linesPerSecond) {
    this.#writtenAtMs = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
  }

  /**
   * Returns whether a line may be written now such that `kept` others could follow at once. If not, the line is
   * counted. `nowMs` is monotonic, `kept` is less than the limit.
   */
  take(nowMs: number, kept: number = 0): boolean {
    const deciding = (this.#next + kept) % this.#writtenAtMs.length;
    if (nowMs - this.#writtenAtMs[deciding]! < 1000) {
      this.leaveOut();
      return false;
    }
    this.#writtenAtMs[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#writtenAtMs.length;
    return true;
  }

  /** Counts a line not written for another reason. */
  leaveOut(): void {
    this.#leftOut += 1;
  }

  /** Returns the number of lines left out since the last call. */
  takeLeftOut(): number {
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}
