/** Lines that one source may write into the log in a second. */
export const linesPerSecond = 100;

/** Bounds how many lines one source writes in any second; the others are counted. */
export class LineBudget {
  /** When the last lines were written: a ring, `#next` is the oldest. */
  readonly #writtenAtMs: Float64Array;
  #next = 0;
  #leftOut = 0;

  /** `limit`: lines a second, 1 or more. */
  constructor(limit: number = linesPerSecond) {
    this.#writtenAtMs = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
  }

  /**
   * Whether a line may be written now, so that `kept` others could follow at once; one that may not is counted. `nowMs`
   * is monotonic, `kept` less than the limit.
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
