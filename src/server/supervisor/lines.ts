/** A line longer than this is no log line of ours. */
const maxLineBytes = 256 * 1024;

/** Cuts a worker's output into whole lines: what several workers write never tears each other's lines. */
export class Lines {
  readonly #whole: (line: string) => void;
  readonly #tooLong: () => void;
  #rest = '';
  /** Inside a line that is too long: none of it is passed on. */
  #skipping = false;

  /** `tooLong` is called for each line that is not passed on. */
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
