/** A line longer than this is no log line of ours. */
const maxLineBytes = 256 * 1024;

/** Cuts a worker's output into whole lines: what several workers write never tears each other's lines. */
export class Lines {
  readonly #whole: (line: string) => void;
  #rest = '';
  /** Inside a line that is too long: none of it is passed on. */
  #skipping = false;

  constructor(whole: (line: string) => void) {
    this.#whole = whole;
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
    this.#skipping = true;
  }
}
