const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const nothing = new Uint8Array();

/** A line without its end, as latin1 text so that a character is a byte, and the bytes that follow it. */
export interface Line {
  readonly text: string;
  /** Valid as long as the bytes that were taken. */
  readonly rest: Uint8Array;
}

/**
 * Splits what one client sends into lines that end with CR LF or LF, as text protocols do. Holds at most one line, of
 * bounded length.
 */
export class Lines {
  readonly #maxBytes: number;
  /** The bytes of a line that is not complete, and room for more. */
  #held = nothing;
  #length = 0;
  #isTooLong = false;

  /** `maxBytes` is the longest line that is accepted, without its end. Throws `RangeError`. */
  constructor(maxBytes: number) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 0)
      throw new RangeError(`a line cannot have at most ${maxBytes} bytes: expected a whole number of at least 0`);
    this.#maxBytes = maxBytes;
  }

  /** What has arrived of a line that is not complete: the last line of a client that ends without a line feed. */
  get pending(): string {
    return textOf(this.#held.subarray(0, this.#length));
  }

  /**
   * Takes bytes up to the end of the first line. Take `rest` next. Undefined: no line is complete, and everything is
   * taken. After a line that is too long there is no other, because the start of the next line is unknown.
   */
  take(bytes: Uint8Array): Line | 'too-long' | undefined {
    const at = bytes.indexOf(lineFeed);
    const part = at < 0 ? bytes : bytes.subarray(0, at);
    this.#isTooLong ||= !this.#fits(part);
    if (this.#isTooLong) {
      this.#clear();
      return 'too-long';
    }
    this.#hold(part);
    if (at < 0) return undefined;
    const text = this.pending;
    this.#clear();
    return { text, rest: bytes.subarray(at + 1) };
  }

  #fits(part: Uint8Array): boolean {
    const last = part.at(-1) ?? this.#held[this.#length - 1];
    return this.#length + part.length - (last === carriageReturn ? 1 : 0) <= this.#maxBytes;
  }

  #hold(part: Uint8Array): void {
    const length = this.#length + part.length;
    if (length > this.#held.length) {
      // Twice as much, or a line that arrives byte by byte would be copied with each byte.
      const larger = new Uint8Array(2 * length);
      larger.set(this.#held);
      this.#held = larger;
    }
    this.#held.set(part, this.#length);
    this.#length = length;
  }

  #clear(): void {
    this.#held = nothing;
    this.#length = 0;
  }
}

/** Without a CR at the end. */
function textOf(line: Uint8Array): string {
  const length = line.length - (line.at(-1) === carriageReturn ? 1 : 0);
  return Buffer.from(line.buffer, line.byteOffset, length).toString('latin1');
}
