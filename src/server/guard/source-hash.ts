/** Random words that a hash needs: one for each value of each byte of a source. */
export const hashWords = 8 * 256;

/**
 * Hashes sources, each two 32-bit words, by tabulation: a random word per value of each byte, so that outsiders cannot
 * choose colliding sources. Returns 32 bits, of either sign.
 */
export class SourceHash {
  readonly #words: Uint32Array;

  /** `words` has `hashWords` random words. */
  constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** `random` returns numbers from 0 up to, but not including, 1. */
  static random(random: () => number): SourceHash {
    return new SourceHash(Uint32Array.from({ length: hashWords }, () => random() * 2 ** 32));
  }

  of(high: number, low: number): number {
    const words = this.#words;
    return (
      words[high & 0xff]! ^
      words[0x100 | ((high >>> 8) & 0xff)]! ^
      words[0x200 | ((high >>> 16) & 0xff)]! ^
      words[0x300 | (high >>> 24)]! ^
      words[0x400 | (low & 0xff)]! ^
      words[0x500 | ((low >>> 8) & 0xff)]! ^
      words[0x600 | ((low >>> 16) & 0xff)]! ^
      words[0x700 | (low >>> 24)]!
    );
  }
}
