/**
 * A sequence of random numbers that depends only on a seed (Mulberry32). Good for faults, useless against anyone who
 * wants to predict them.
 */
export class FaultRandom {
  #state: number;

  /** `seed` and the number of the sequence are from 0 to 2^32 - 1. Sequences of different numbers are unrelated. */
  constructor(seed: number, sequence: number) {
    this.#state = scramble(scramble(seed | 0) ^ Math.imul(sequence + 1, 0x9e3779b1));
  }

  /** Returns the next number, from 0 up to, but not including, 1. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let word = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The finalizer of MurmurHash3: neighboring seeds must not have neighboring sequences. */
function scramble(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
