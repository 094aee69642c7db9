const lineFeed = 0x0a;

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
  #pending = '';
  #isTooLong = false;

  /** `maxBytes` is the longest line that is accepted, without its end. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What has arrived of a line that is not complete: the last line of a client that ends without a line feed. */
  get pending(): string {
    return withoutReturn(this.#pending);
  }

  /**
   * Takes bytes up to the end of the first line. Take `rest` next. Undefined: no line is complete, and everything is
   * taken. After a line that is too long there is no other, because nobody knows where it would begin.
   */
  take(bytes: Uint8Array): Line | 'too-long' | undefined {
    const at = bytes.indexOf(lineFeed);
    const end = at < 0 ? bytes.length : at;
    // One more, which may be a CR.
    this.#isTooLong ||= this.#pending.length + end > this.#maxBytes + 1;
    if (this.#isTooLong) return this.#refuse();
    const line = this.#pending + Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('latin1');
    const text = withoutReturn(line);
    if (text.length > this.#maxBytes) return this.#refuse();
    this.#pending = at < 0 ? line : '';
    return at < 0 ? undefined : { text, rest: bytes.subarray(at + 1) };
  }

  #refuse(): 'too-long' {
    this.#isTooLong = true;
    this.#pending = '';
    return 'too-long';
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
