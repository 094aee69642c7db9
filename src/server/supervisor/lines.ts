/** None of our log lines is longer than this. */
const maxLineBytes = 256 * 1024;

/** Splits a worker's output into complete lines, so that workers never interleave within a line. */
export class Lines {
  readonly #whole: (line: string) => void;
  readonly #tooLong: () => void;
  #rest = '';
  /** Inside a line that is too long and is discarded. */
  #skipping = false;

  /** `tooLong` is called for each discarded line. */
  constructor(whole: (line: string) => void, tooLong: () => void) {
    this.#whole = whole;
    this.#tooLong = tooLong;
  }

  write(text: string): void {
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    for (const line of parts) {
      if (!this.#skipping) this.#whole(`${line}\n`);
      this.#skipping = false;
    }
    if (this.#rest.length <= maxLineBytes) return;
    this.#rest = '';
    if (!this.#skipping) this.#tooLong();
    this.#skipping = true;
  }
}
