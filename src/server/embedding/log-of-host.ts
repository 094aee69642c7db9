import type { LineWriter } from '../log.ts';

/**
 * The log of the program that embeds the daemon. A line for which it throws is lost: it may be written in a timer or
 * when a socket closes, where nobody could catch the error.
 */
export class LogOfHost implements LineWriter {
  readonly #writer: LineWriter;
  #lost = 0;

  constructor(writer: LineWriter) {
    this.#writer = writer;
  }

  write(line: string): void {
    try {
      this.#writer.write(line);
    } catch {
      this.#lost += 1;
    }
  }

  /** Lines lost since the start. */
  get lostInAll(): number {
    return this.#lost;
  }
}
