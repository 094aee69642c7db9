import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { ReadStream, WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { exitCodes } from '../../exit-codes.ts';
import { escapeControls } from '../../terminal-text.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';

/** Where a tool is run from: what it prints, what it reads, and whether somebody wants it to stop. */
export interface Terminal {
  /** Whether standard output is a terminal: then a person reads it. */
  readonly isTerminal: boolean;
  /** The width of standard output; 80 where it is none. */
  readonly columns: number;
  readonly input: NodeJS.ReadStream;
  /** Aborts at Ctrl-C, and at TERM. */
  readonly signal: AbortSignal;
  /** Text to standard output; on a terminal all controls are escaped but the colors of `paint`. */
  print(text: string): void;
  /**
   * Bytes of a peer, to standard output: as they came, but on a terminal with LF for CRLF and all controls escaped.
   * Resolves when there is room for more.
   */
  printPeer(bytes: Uint8Array): Promise<void>;
  /** To standard error, each line with the program's name before it and with its controls escaped. */
  complain(message: string): void;
  /**
   * A line on standard error that the next one replaces; nothing where that is no terminal. Undefined takes it away.
   */
  showProgress(line: string | undefined): void;
  /** The text in a colour where standard output is a terminal and NO_COLOR is not set. */
  paint(colour: Colour, text: string): string;
}

/** The process's own standard streams. */
export class ProcessTerminal implements Terminal {
  readonly #output: NodeJS.WriteStream & Partial<Pick<WriteStream, 'columns'>>;
  readonly #errors: NodeJS.WriteStream;
  readonly #abort = new AbortController();
  readonly input: NodeJS.ReadStream & Partial<Pick<ReadStream, 'isTTY'>>;
  #progress = '';
  /** What a peer sent last stands on the terminal without an end of its line. */
  #isLineOpen = false;
  /** The CR that ended what a peer sent last: only what follows tells whether it is half of a line end. */
  #heldBack = '';
  /**
   * Stands for the ESC of our own colors until they are printed. No peer knows it, so no peer's text can hold a color.
   */
  readonly #ownEscape = `<${randomUUID()}>`;

  constructor(process: NodeJS.Process) {
    this.#output = process.stdout;
    this.#errors = process.stderr;
    this.input = process.stdin;
    this.#output.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      // Who reads the output may have seen enough, and have gone: nothing is left to do.
      if (code === 'EPIPE') return process.exit();
      this.complain(`cannot write the output: ${message}`);
      process.exit(exitCodes.failed);
    });
    // Nobody is left to complain to.
    this.#errors.on('error', () => {});
    // A second one ends the process at once.
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        this.#abort.abort();
      });
  }

  get isTerminal(): boolean {
    return this.#output.isTTY;
  }

  get columns(): number {
    // A terminal that does not know its width says 0.
    return this.#output.columns || 80;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  print(text: string): void {
    this.showProgress(undefined);
    this.#isLineOpen = false;
    this.#heldBack = '';
    this.#output.write(this.isTerminal ? escapeControls(text).replaceAll(this.#ownEscape, '\u001b') : text);
  }

  async printPeer(bytes: Uint8Array): Promise<void> {
    this.showProgress(undefined);
    const shown = this.isTerminal ? this.#readable(bytes) : bytes;
    if (shown.length > 0) this.#isLineOpen = this.isTerminal && bytes.at(-1) !== 0x0a;
    if (this.#output.write(shown)) return;
    await new Promise((resolve) => {
      this.#output.once('drain', resolve);
    });
  }

  #readable(bytes: Uint8Array): string {
    const text = this.#heldBack + Buffer.from(bytes).toString(isUtf8(bytes) ? 'utf8' : 'latin1');
    this.#heldBack = text.endsWith('\r') ? '\r' : '';
    return escapeControls(text.slice(0, text.length - this.#heldBack.length).replaceAll('\r\n', '\n'));
  }

  complain(message: string): void {
    this.showProgress(undefined);
    if (this.#isLineOpen) this.print('\n');
    const lines = message.split('\n').map((line) => `smallserv: ${escapeControls(line)}\n`);
    this.#errors.write(lines.join(''));
  }

  showProgress(line: string | undefined): void {
    const shown = escapeControls(line ?? '').slice(0, (this.#errors.columns || 80) - 1);
    if (!this.#errors.isTTY || shown === this.#progress) return;
    this.#progress = shown;
    this.#errors.write(`\r${this.#progress}\u001b[K`);
  }

  paint(colour: Colour, text: string): string {
    const isWanted = this.isTerminal && (process.env['NO_COLOR'] ?? '') === '';
    if (!isWanted) return text;
    return styleText(colour, escapeControls(text), { stream: this.#output }).replaceAll('\u001b', this.#ownEscape);
  }
}
