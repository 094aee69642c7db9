import { fstatSync } from 'node:fs';
import { type Level, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import sonicBoom, { type SonicBoom } from 'sonic-boom';
import type { LogConfig } from './config/config.ts';
import { SmallservdError } from './errors.ts';

/** Bytes of finished lines that may wait for a log reader; past it whole lines are dropped and counted. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** How long after a failed write the next one is tried, should no line come before. */
const retryMs = 1000;

/** How long the end of the process may wait for the log's reader. */
const flushDeadlineMs = 1000;

/** JSON leaves them as they are, but terminals obey some of them, some change the order of what is read, and some readers take others for line ends. */
const unsafeCharacters = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Control characters, but for line ends and the colours that pino-pretty sets itself. */
// oxlint-disable-next-line no-control-regex
const terminalOrders = /[\0-\u0009\u000b-\u001a\u001c-\u001f]|\u001b(?!\[[\d;]*m)/g;

/** Where finished lines go; one process has one. A stalled reader costs lines, never the event loop. */
export class LogSink {
  readonly #destination: SonicBoom;
  readonly #shape: (line: string) => string;
  readonly #file: boolean;
  /** Lines wait to be written. */
  #isWaiting = false;
  #dropped = 0;
  #droppedInAll = 0;
  #recovered: ((droppedLines: number) => void) | undefined;

  private constructor(destination: SonicBoom, shape: (line: string) => string, file: boolean) {
    this.#destination = destination;
    this.#shape = shape;
    this.#file = file;
    destination.on('drop', () => this.addLost(1));
    // A full disk or a reader that has gone: there is nobody to tell, and serving goes on. What waits is kept, and tried again:
    // sonic-boom does so at the next line, but not once its buffer is full.
    destination.on('error', () => {
      setTimeout(() => destination.flush(), retryMs).unref();
    });
    destination.on('drain', () => {
      this.#isWaiting = false;
      if (this.#dropped > 0) this.#recovered?.(this.takeLost());
    });
  }

  /** Counts lines that were lost before they came here. */
  addLost(lines: number): void {
    this.#dropped += lines;
    this.#droppedInAll += lines;
    // A worker tells of its losses a second later: by then all may be written, and no drain would come to report them.
    if (lines > 0 && !this.#isWaiting) this.#recovered?.(this.takeLost());
  }

  /** Lines that were lost since the start. */
  get lostInAll(): number {
    return this.#droppedInAll;
  }

  /** How many lines were lost since the last call; for a sink that does not report them itself. */
  takeLost(): number {
    const lines = this.#dropped;
    this.#dropped = 0;
    return lines;
  }

  /** Writes the number of lost lines into the log as soon as its reader takes lines again. */
  reportLostLines(log: Logger): void {
    this.#recovered = (lines) =>
      log.warn({ lines }, 'lines of this log are lost: its reader was too slow, or the disk full');
  }

  /** Standard output: readable on a terminal, with syslog priorities for the journal, JSON lines otherwise. */
  static async standardOutput(): Promise<LogSink> {
    if (process.stdout.isTTY) {
      const pretty = prettyFactory({ singleLine: true, translateTime: 'SYS:HH:MM:ss.l' });
      // It prints messages and stacks as they are.
      return LogSink.#open(1, (line) => pretty(onOneLine(line)).replace(terminalOrders, escapeCharacter));
    }
    return LogSink.#open(1, isJournal() ? withPriority : undefined);
  }

  /** Appends JSON lines to a file. Throws `LOG_FILE` or `LOG_FILE_NOT_PERMITTED`. */
  static async file(path: string): Promise<LogSink> {
    try {
      return await LogSink.#open(path);
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
      throw new SmallservdError(denied ? 'LOG_FILE_NOT_PERMITTED' : 'LOG_FILE', `log.file ${path}: ${message}`, {
        cause,
      });
    }
  }

  static async #open(target: number | string, shape?: (line: string) => string): Promise<LogSink> {
    const destination = new sonicBoom.SonicBoom({
      ...(typeof target === 'number' ? { fd: target } : { dest: target }),
      sync: false,
      // With 0 its `flush` does nothing; no line of ours is shorter.
      minLength: 1,
      maxLength: maxWaitingBytes,
      mkdir: false,
    });
    if (typeof target === 'string') {
      await new Promise<void>((resolve, reject) => {
        destination.once('ready', () => resolve());
        destination.once('error', reject);
      });
    }
    // Not before it is open: what cannot be opened is not tried again.
    return new LogSink(destination, shape ?? ((line) => line), typeof target === 'string');
  }

  get isStandardOutput(): boolean {
    return !this.#file;
  }

  /** Writes one finished line, with its line end. */
  write(line: string): void {
    this.#isWaiting = true;
    this.#destination.write(this.#shape(line).replace(unsafeCharacters, escapeCharacter));
  }

  /** Text for a person at a terminal; not a log line. */
  print(text: string): void {
    this.#isWaiting = true;
    this.#destination.write(text);
  }

  /** Opens the log file anew, after somebody moved it away. */
  reopen(): void {
    if (this.#file) this.#destination.reopen();
  }

  /** Writes what waits, and gives up after a second: a reader that stalls must not keep the process alive. */
  async flush(): Promise<void> {
    if (!this.#isWaiting) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      new Promise<void>((resolve) => this.#destination.once('drain', resolve).once('error', () => resolve())),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, flushDeadlineMs);
      }),
    ]);
    clearTimeout(timer);
  }
}

/** What a pino log of ours writes its lines to. */
export interface LineWriter {
  write(line: string): void;
}

/** A structured log whose lines go to `sink`; `bindings` stand in each of them. */
export function createLog({ level }: Pick<LogConfig, 'level'>, sink: LineWriter, bindings: object = {}): Logger {
  const options = {
    level,
    base: bindings,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, sink);
}

/** pino-pretty prints a message as it is: its line ends would look like lines of ours. What is no line of a log is left to it. */
function onOneLine(line: string): object | string {
  if (!line.includes('\\n')) return line;
  try {
    const fields = JSON.parse(line) as { readonly msg?: unknown };
    return typeof fields.msg === 'string' ? { ...fields, msg: fields.msg.replaceAll('\n', '\\n') } : line;
  } catch {
    return line;
  }
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Whether our standard output is the journal's own stream: systemd.exec(5), JOURNAL_STREAM. */
function isJournal(): boolean {
  const stream = process.env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(1);
  return stream === `${dev}:${ino}`;
}

const priorities: Readonly<Record<Level, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

/** sd-daemon(3): the journal takes a line's priority from a `<N>` before it. */
function withPriority(line: string): string {
  const level = /^\{"level":"(\w+)"/.exec(line)?.[1] as Level | undefined;
  return `<${level === undefined ? priorities.info : priorities[level]}>${line}`;
}
