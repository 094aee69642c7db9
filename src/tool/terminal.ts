import { isUtf8 } from 'node:buffer';
import type { ReadStream, WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { exitCodes } from '../exit-codes.ts';

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
  /** Our own text, as it is, to standard output. */
  print(text: string): void;
  /** Bytes of a peer, to standard output: as they came, but on a terminal without orders to it. Resolves when there is room for more. */
  printPeer(bytes: Uint8Array): Promise<void>;
  /** A line to standard error, with the program's name before it. */
  complain(message: string): void;
  /** A line on standard error that the next one replaces; nothing where that is no terminal. Undefined takes it away. */
  showProgress(line: string | undefined): void;
  /** The text in a colour where standard output is a terminal and NO_COLOR is not set. */
  paint(colour: Colour, text: string): string;
}

/** Control characters but for tabs and line ends, as ASCII, as C1, and as what reorders text. */
// oxlint-disable-next-line no-control-regex
const orders = /[\0-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with what could give orders to a terminal as `\x1b`; tabs and line ends stay. */
export function withoutOrders(text: string): string {
  return text.replace(orders, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** The same for JSON, in which `\u009b` is that character to whoever reads it; its own syntax has none of them. */
export function jsonWithoutOrders(json: string): string {
  return json.replace(orders, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
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
    this.#output.write(text);
  }

  async printPeer(bytes: Uint8Array): Promise<void> {
    this.showProgress(undefined);
    const encoding = isUtf8(bytes) ? 'utf8' : 'latin1';
    const shown = this.isTerminal ? withoutOrders(Buffer.from(bytes).toString(encoding)) : bytes;
    if (bytes.length > 0) this.#isLineOpen = this.isTerminal && bytes.at(-1) !== 0x0a;
    if (this.#output.write(shown)) return;
    await new Promise((resolve) => {
      this.#output.once('drain', resolve);
    });
  }

  complain(message: string): void {
    this.showProgress(undefined);
    if (this.#isLineOpen) this.print('\n');
    this.#errors.write(`smallserv: ${withoutOrders(message)}\n`);
  }

  showProgress(line: string | undefined): void {
    if (!this.#errors.isTTY || (line ?? '') === this.#progress) return;
    this.#progress = (line ?? '').slice(0, (this.#errors.columns || 80) - 1);
    this.#errors.write(`\r${this.#progress}\u001b[K`);
  }

  paint(colour: Colour, text: string): string {
    const isWanted = this.isTerminal && (process.env['NO_COLOR'] ?? '') === '';
    return isWanted ? styleText(colour, text, { stream: this.#output }) : text;
  }
}
