/** Random words that a hash needs: one for each value of each byte of a source. */
export const hashWords = 16 * 256;

/**
 * Hashes sources by tabulation: a random word per value of each byte, so that outsiders cannot choose colliding
 * sources. Returns 32 bits, of either sign.
 */
export class SourceHash {
  readonly #words: Uint32Array;
  /** For the interface identifiers of link-local hosts. */
  readonly #hostWords: Uint32Array;

  /** `words` has `hashWords` random words. */
  constructor(words: Uint32Array) {
    this.#words = words.subarray(0, hashWords / 2);
    this.#hostWords = words.subarray(hashWords / 2);
  }

  /** `random` returns numbers from 0 up to, but not including, 1. */
  static random(random: () => number): SourceHash {
    return new SourceHash(Uint32Array.from({ length: hashWords }, () => random() * 2 ** 32));
  }

  /** Of the words of a `SourceKey`. */
  of(high: number, low: number, hostHigh: number = 0, hostLow: number = 0): number {
    const hash = hashOf(this.#words, high, low);
    return hostHigh === 0 && hostLow === 0 ? hash : hash ^ hashOf(this.#hostWords, hostHigh, hostLow);
  }
}

function hashOf(words: Uint32Array, high: number, low: number): number {
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
