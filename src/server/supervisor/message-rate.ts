/** What a read costs in addition to its bytes, so that single bytes cannot keep us busy. */
export const readCostBytes = 256;

/** Limits what may arrive in a second, in messages or in bytes. */
export class MessageRate {
  readonly perSecond: number;
  readonly #monotonicMs: () => number;
  #secondStartMs = Number.NEGATIVE_INFINITY;
  #inSecond = 0;

  constructor(perSecond: number, monotonicMs: () => number) {
    this.perSecond = perSecond;
    this.#monotonicMs = monotonicMs;
  }

  /** Returns false if this is too much. */
  take(amount = 1): boolean {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#secondStartMs >= 1000) {
      this.#secondStartMs = nowMs;
      this.#inSecond = 0;
    }
    this.#inSecond += amount;
    return this.#inSecond <= this.perSecond;
  }
}
