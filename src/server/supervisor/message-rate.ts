/** How many messages may come in a second. */
export class MessageRate {
  readonly perSecond: number;
  readonly #monotonicMs: () => number;
  #secondStartMs = Number.NEGATIVE_INFINITY;
  #cameInSecond = 0;

  constructor(perSecond: number, monotonicMs: () => number) {
    this.perSecond = perSecond;
    this.#monotonicMs = monotonicMs;
  }

  /** False where one more is too many. */
  take(): boolean {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#secondStartMs >= 1000) {
      this.#secondStartMs = nowMs;
      this.#cameInSecond = 0;
    }
    this.#cameInSecond += 1;
    return this.#cameInSecond <= this.perSecond;
  }
}
