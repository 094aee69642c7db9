const lineFeed = 0x0a;

/** A line without its end, as latin1 text so that a character is a byte, and the bytes that follow it. */
export interface RequestLine {
  readonly text: string;
  readonly rest: Uint8Array;
}

/** Splits what a client sends into lines that end with CR LF or LF. Holds at most one line, of bounded length. */
export class RequestLines {
  readonly #maxBytes: number;
  #pending = '';

  /** `maxBytes` counts without the end of the line. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What has arrived of a line that is not complete. */
  get pending(): string {
    return this.#pending;
  }

  /** Takes bytes up to the end of the first line. Undefined if there is none yet. */
  take(chunk: Uint8Array): RequestLine | 'too-long' | undefined {
    const at = chunk.indexOf(lineFeed);
    const end = at < 0 ? chunk.length : at;
    // One more, which may be a CR.
    if (this.#pending.length + end > this.#maxBytes + 1) return 'too-long';
    const line = this.#pending + Buffer.from(chunk.subarray(0, end)).toString('latin1');
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (text.length > this.#maxBytes) return 'too-long';
    this.#pending = at < 0 ? line : '';
    return at < 0 ? undefined : { text, rest: chunk.subarray(at + 1) };
  }
}
