import type { WriteStream } from 'node:tty';
import type { Line, Span } from './text.ts';

/** Control sequences of terminals since the VT220 and xterm (ECMA-48, and the private modes of xterm). */
const csi = '\u001b[';
/** Another screen, no cursor, and no line breaks but ours: a character may be wider than we think. */
const enter = `${csi}?1049h${csi}?25l${csi}?7l${csi}2J`;
const clear = `${csi}2J`;

/** Draws lines on a terminal, and only those that have changed. */
export class Screen {
  readonly #output: Pick<WriteStream, 'columns' | 'rows' | 'write'>;
  readonly #paint: (span: Span) => string;
  /** What is on the terminal. */
  #drawn: readonly string[] = [];
  #isOpen = false;

  constructor(output: Pick<WriteStream, 'columns' | 'rows' | 'write'>, paint: (span: Span) => string) {
    this.#output = output;
    this.#paint = paint;
  }

  open(): void {
    this.#isOpen = true;
    this.#drawn = [];
    this.#output.write(enter);
  }

  /** Leaves the terminal as it was. A terminal without another screen keeps the last frame. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#output.write(`${csi}0m${csi}${this.#output.rows};1H${csi}?7h${csi}?25h${csi}?1049l`);
  }

  /** The terminal shows something else now: draws everything next. */
  forget(): void {
    this.#drawn = [];
    if (this.#isOpen) this.#output.write(clear);
  }

  draw(lines: readonly Line[]): void {
    if (!this.#isOpen) return;
    const painted = lines.map((line) => line.map(this.#paint).join(''));
    const changed = painted.flatMap((text, row) =>
      text === (this.#drawn[row] ?? '') ? [] : [`${csi}${row + 1};1H${csi}2K${text}`],
    );
    this.#drawn = painted;
    if (changed.length > 0) this.#output.write(changed.join(''));
  }
}
