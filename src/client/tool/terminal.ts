import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { ReadStream, WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { Attempts } from '../options.ts';
import { systemClock } from '../../clock/clock.ts';
import { type ColorChoice, wantsColor } from '../../color.ts';
import { endWithOutput } from '../../output-error.ts';
import { abbreviate, escapeControls } from '../../terminal-text.ts';

export type Color = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';

/** What COLUMNS may say. */
const [narrowest, widest] = [20, 1000] as const;

/** The environment of a tool: output, input and the interruption signal. */
export interface Terminal {
  /** Whether standard output is a terminal, read by a person. */
  readonly isTerminal: boolean;
  /** The width of standard output, or if it is not a terminal, COLUMNS or 80. */
  readonly columns: number;
  /** The height of standard output, or 24 if it is not a terminal. */
  readonly rows: number;
  readonly input: NodeJS.ReadStream;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** The host that the tool is given, for reports. Undefined if it takes none, or several. */
  target: string | undefined;
  /** The addresses that the tool tries, for reports. */
  readonly attempts: Attempts;
  /** Milliseconds since the beginning of the run. */
  readonly elapsedMs: number;
  /** Prints text to standard output. On a terminal, all control characters are escaped except the colors of `paint`. */
  print(text: string): void;
  /**
   * Prints a peer's bytes to standard output unchanged, but on a terminal with LF for CRLF and control characters
   * escaped. Resolves when there is room for more.
   */
  printPeer(bytes: Uint8Array): Promise<void>;
  /** Prints to standard error, each line prefixed with the program's name and with control characters escaped. */
  complain(message: string): void;
  /** Prints text to standard error as it is, but on a terminal with control characters escaped. */
  printError(text: string): void;
  /** Shows a line on standard error that the next one replaces, if that is a terminal. Undefined clears it. */
  showProgress(line: string | undefined): void;
  /**
   * Prints these lines in place of those of the call before, if standard output is a terminal. They must be shorter
   * than its width, and fewer than its height.
   */
  redraw(lines: readonly string[]): void;
  /** Colors the text as `chooseColor`, the environment and standard output say. */
  paint(color: Color, text: string): string;
  /** Says when to color. Default: `auto`. */
  chooseColor(choice: ColorChoice): void;
}

/** The process's standard streams. */
export class ProcessTerminal implements Terminal {
  readonly #output: NodeJS.WriteStream & Partial<Pick<WriteStream, 'columns' | 'rows'>>;
  readonly #errors: NodeJS.WriteStream;
  readonly #abort = new AbortController();
  readonly input: NodeJS.ReadStream & Partial<Pick<ReadStream, 'isTTY'>>;
  target: string | undefined;
  readonly attempts = new Attempts();
  readonly #beganMs = systemClock.monotonicMs();
  #color: ColorChoice = 'auto';
  #progress = '';
  /** Lines that `redraw` has printed, if nothing was printed since. */
  #drawnLines = 0;
  /** Whether the peer's last text left a line without its end. */
  #isLineOpen = false;
  /** A CR at the end of the peer's last data, held back until the next byte shows whether it is half of a line end. */
  #heldBack = '';
  /** Stands for the ESC of our colors until printing. Peers cannot guess it, so their text cannot contain colors. */
  readonly #ownEscape = `<${randomUUID()}>`;

  constructor(process: NodeJS.Process) {
    this.#output = process.stdout;
    this.#errors = process.stderr;
    this.input = process.stdin;
    endWithOutput(process, (message) => this.complain(message));
    // Errors on standard error cannot be reported anywhere.
    this.#errors.on('error', () => {});
    // If the reader of the output has gone, nothing else clears it.
    process.once('exit', () => this.showProgress(undefined));
    // A second signal ends the process immediately.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => this.#abort.abort());
  }

  get isTerminal(): boolean {
    return this.#output.isTTY;
  }

  get columns(): number {
    // A terminal of unknown width reports 0.
    if (this.#output.columns) return this.#output.columns;
    const columns = Number(process.env['COLUMNS']);
    return columns >= narrowest && columns <= widest ? columns : 80;
  }

  get elapsedMs(): number {
    return systemClock.monotonicMs() - this.#beganMs;
  }

  get rows(): number {
    return this.#output.rows || 24;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  print(text: string): void {
    this.showProgress(undefined);
    this.#isLineOpen = false;
    this.#heldBack = '';
    this.#drawnLines = 0;
    this.#output.write((this.isTerminal ? escapeControls(text) : text).replaceAll(this.#ownEscape, '\u001b'));
  }

  async printPeer(bytes: Uint8Array): Promise<void> {
    this.showProgress(undefined);
    const shown = this.isTerminal ? this.#readable(bytes) : bytes;
    if (shown.length > 0) this.#isLineOpen = this.isTerminal && bytes.at(-1) !== 0x0a;
    if (this.#output.write(shown)) return;
    await new Promise((resolve) => void this.#output.once('drain', resolve));
  }

  #readable(bytes: Uint8Array): string {
    const text = this.#heldBack + Buffer.from(bytes).toString(isUtf8(bytes) ? 'utf8' : 'latin1');
    this.#heldBack = text.endsWith('\r') ? '\r' : '';
    return escapeControls(text.slice(0, text.length - this.#heldBack.length).replaceAll('\r\n', '\n'));
  }

  complain(message: string): void {
    this.showProgress(undefined);
    if (this.#isLineOpen) this.print('\n');
    const lines = abbreviate(message)
      .split('\n')
      .map((line) => `smallserv: ${escapeControls(line)}\n`);
    this.#errors.write(lines.join(''));
  }

  printError(text: string): void {
    this.showProgress(undefined);
    this.#errors.write(this.#errors.isTTY ? escapeControls(text) : text);
  }

  showProgress(line: string | undefined): void {
    const shown = escapeControls(line ?? '').slice(0, (this.#errors.columns || 80) - 1);
    if (!this.#errors.isTTY || shown === this.#progress) return;
    this.#progress = shown;
    this.#errors.write(`\r${this.#progress}\u001b[K`);
  }

  redraw(lines: readonly string[]): void {
    const drawnLines = this.#drawnLines;
    // Up to the first of them, and clear all below.
    if (this.isTerminal) this.#output.write(`\r${drawnLines === 0 ? '' : `\u001b[${drawnLines}A`}\u001b[J`);
    this.print(lines.map((line) => `${line}\n`).join(''));
    this.#drawnLines = lines.length;
  }

  paint(color: Color, text: string): string {
    if (!wantsColor(this.#color, this.isTerminal, process.env)) return text;
    return styleText(color, escapeControls(text), { validateStream: false }).replaceAll('\u001b', this.#ownEscape);
  }

  chooseColor(choice: ColorChoice): void {
    this.#color = choice;
  }
}
