/** What a read costs in addition to its bytes, so that single bytes cannot keep us busy. */
export const readCostBytes = 256;

/** How much may arrive: at once after a pause, and in each second from then on. */
export interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

/** Limits what arrives, in messages or in bytes. What is not used accrues, up to the burst. */
export class MessageRate {
  readonly allowance: Allowance;
  readonly #monotonicMs: () => number;
  #left: number;
  #takenMs: number;

  constructor(allowance: Allowance, monotonicMs: () => number) {
    this.allowance = allowance;
    this.#monotonicMs = monotonicMs;
    this.#left = allowance.burst;
    this.#takenMs = monotonicMs();
  }

  /** Returns false if this is too much. */
  take(amount = 1): boolean {
    const { burst, perSecond } = this.allowance;
    // Without a limit, no time is too short.
    if (burst === Infinity) return true;
    const nowMs = this.#monotonicMs();
    this.#left = Math.min(burst, this.#left + ((nowMs - this.#takenMs) / 1000) * perSecond) - amount;
    this.#takenMs = nowMs;
    return this.#left >= 0;
  }
}
