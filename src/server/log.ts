import { close, fstatSync } from 'node:fs';
import { styleText } from 'node:util';
import { type Level, type Logger, pino } from 'pino';
import sonicBoom, { type SonicBoom } from 'sonic-boom';
import type { LogConfig } from './config/config.ts';
import { SmallservdError } from '../errors.ts';
import { type LogOwner, type OpenLogFile, openLogFile } from './log-file.ts';
import { escapeControls, escapeToOneLine } from '../terminal-text.ts';

/** Bytes of finished lines that may wait for a log reader; past it whole lines are dropped and counted. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** How long after a failed write the next one is tried, should no line come before. */
const retryMs = 1000;

/** How long the end of the process may wait for the log's reader, and a reopening for the disk of the file before. */
const flushDeadlineMs = 1000;

/** A log file, and where it is opened again. */
interface LogFile extends OpenLogFile {
  readonly path: string;
}

/** Where finished lines go; one process has one. A stalled reader costs lines, never the event loop. */
export class LogSink {
  #destination: SonicBoom;
  /** Makes of a finished line what is written; nothing that a terminal obeys is left in it but colors of ours. */
  readonly #shape: (line: string) => string;
  /** Undefined: standard output. */
  #file: LogFile | undefined;
  #owner: LogOwner | null;
  /** That of the file before the last reopening: lines may wait for it still. */
  #previous: SonicBoom | undefined;
  #reopening: Promise<void> = Promise.resolve();
  /** Lines wait to be written. */
  #isWaiting = false;
  #dropped = 0;
  #droppedInAll = 0;
  #recovered: ((droppedLines: number) => void) | undefined;

  private constructor(fd: number, shape: (line: string) => string, file?: LogFile, owner: LogOwner | null = null) {
    this.#shape = shape;
    this.#file = file;
    this.#owner = owner;
    this.#destination = this.#open(fd);
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
    this.#recovered = (lines) => log.warn({ lines }, 'log lines lost, reader too slow or disk full');
  }

  /** Standard output: readable on a terminal, with syslog priorities for the journal, JSON lines otherwise. */
  static async standardOutput(): Promise<LogSink> {
    if (process.stdout.isTTY) {
      // Most processes of a daemon have no terminal, and start sooner without it.
      const { prettyFactory } = await import('pino-pretty');
      // It prints messages and stacks as they are, so what it makes is escaped, and colors come last: those in a
      // message are not ours.
      const pretty = prettyFactory({ singleLine: true, translateTime: 'SYS:HH:MM:ss.l', colorize: false });
      const paint = process.stdout.hasColors() ? paintLevel : (line: string): string => line;
      // A tab would move what follows it.
      const plain = (line: string): string => escapeControls(pretty(onOneLine(line))).replaceAll('\t', '\\u0009');
      return new LogSink(1, (line) => paint(plain(line)));
    }
    return new LogSink(1, isJournal() ? (line) => withPriority(escapeLine(line)) : escapeLine);
  }

  /**
   * Appends JSON lines to a file, in a place that only root, the user of this process and `owner` decide on. Throws
   * what `openLogFile` throws.
   */
  static async file(path: string, owner: LogOwner | null): Promise<LogSink> {
    const opened = await openLogFile(path, owner);
    return new LogSink(opened.fd, escapeLine, { ...opened, path }, owner);
  }

  /** Who may own the log file, besides root and the user of this process, when it is opened again. */
  trust(owner: LogOwner | null): void {
    this.#owner = owner;
  }

  #open(fd: number): SonicBoom {
    // With minLength 0 its `flush` does nothing; no line of ours is shorter.
    const destination = new sonicBoom.SonicBoom({ fd, sync: false, minLength: 1, maxLength: maxWaitingBytes });
    destination.on('drop', () => this.addLost(1));
    // A full disk or a reader that has gone: there is nobody to tell, and serving goes on. What waits is kept, and
    // tried again: sonic-boom does so at the next line, but not once its buffer is full.
    let retry: NodeJS.Timeout | undefined;
    destination.on('error', () => {
      // Each line that cannot be written is an error, too.
      retry ??= setTimeout(() => {
        retry = undefined;
        if (!isClosed(destination)) destination.flush();
      }, retryMs).unref();
    });
    destination.on('drain', () => {
      if (destination !== this.#destination) return;
      this.#isWaiting = false;
      if (this.#dropped > 0) this.#recovered?.(this.takeLost());
    });
    return destination;
  }

  get isStandardOutput(): boolean {
    return this.#file === undefined;
  }

  /** Writes one finished line, with its line end. */
  write(line: string): void {
    this.#isWaiting = true;
    this.#destination.write(this.#shape(line));
  }

  /** Text for a person at a terminal; not a log line. */
  print(text: string): void {
    this.#isWaiting = true;
    this.#destination.write(escapeControls(text));
  }

  /**
   * Opens the log file by its name again, after somebody moved it away. Lines go to the old file until the new one is
   * open; the old one gets those that wait for it, and is closed then. Rejects with what `openLogFile` throws, or
   * `LOG_FILE`, and the old file goes on.
   */
  async reopen(): Promise<void> {
    // One at a time: the file may have been moved away again since the one before began.
    const reopening = this.#reopening.catch(() => {}).then(() => this.#reopen());
    this.#reopening = reopening;
    await reopening;
  }

  async #reopen(): Promise<void> {
    const old = this.#file;
    if (old === undefined) return;
    const opened = await openLogFile(old.path, this.#owner);
    const isMoved = opened.inode !== old.inode;
    if (isMoved && (await this.#previousIsClosed())) {
      const previous = this.#destination;
      this.#file = { ...old, ...opened };
      this.#destination = this.#open(opened.fd);
      this.#isWaiting = false;
      this.#previous = previous;
      previous.end();
      return;
    }
    close(opened.fd, () => {});
    // Each file may have 4 MiB waiting for it: never for more than two of them.
    if (isMoved)
      throw new SmallservdError('LOG_FILE', `log.file ${old.path}: lines still wait to be written to the file before`);
  }

  async #previousIsClosed(): Promise<boolean> {
    const previous = this.#previous;
    if (previous === undefined) return true;
    await settledInTime([previous]);
    return isClosed(previous);
  }

  /** Writes what waits, and gives up after a second: a reader that stalls must not keep the process alive. */
  async flush(): Promise<void> {
    const waiting = this.#isWaiting ? [this.#destination] : [];
    await settledInTime(this.#previous === undefined ? waiting : [this.#previous, ...waiting]);
  }
}

/** Waits, for a second at most, until all is written that waits, or cannot be. */
async function settledInTime(destinations: readonly SonicBoom[]): Promise<void> {
  const open = destinations.filter((destination) => !isClosed(destination));
  if (open.length === 0) return;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), flushDeadlineMs);
  await Promise.all(open.map((destination) => settled(destination, deadline.signal)));
  clearTimeout(timer);
}

/** `close` is for one that was told to end, which drains no more. */
const endsOfWaiting = ['drain', 'close', 'error'] as const;

async function settled(destination: SonicBoom, deadline: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      for (const event of endsOfWaiting) destination.off(event, settle);
      resolve();
    };
    for (const event of endsOfWaiting) destination.on(event, settle);
    deadline.addEventListener('abort', settle, { once: true });
  });
}

/** It has written everything, and its descriptor is closed or about to be. Missing from its types. */
function isClosed(destination: SonicBoom): boolean {
  return 'destroyed' in destination && destination.destroyed === true;
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

/**
 * pino-pretty prints a message as it is: its line ends would look like lines of ours. What is no line of a log is left
 * to it.
 */
function onOneLine(line: string): object | string {
  if (!line.includes('\\n')) return line;
  try {
    const fields = JSON.parse(line) as { readonly msg?: unknown };
    return typeof fields.msg === 'string' ? { ...fields, msg: fields.msg.replaceAll('\n', '\\n') } : line;
  } catch {
    return line;
  }
}

/** JSON of ours has no raw control characters, but what a worker writes may be anything. */
function escapeLine(line: string): string {
  return line.endsWith('\n') ? `${escapeToOneLine(line.slice(0, -1))}\n` : escapeToOneLine(line);
}

const levelColors: Readonly<Record<string, 'gray' | 'blue' | 'green' | 'yellow' | 'red'>> = {
  TRACE: 'gray',
  DEBUG: 'blue',
  INFO: 'green',
  WARN: 'yellow',
  ERROR: 'red',
  FATAL: 'red',
};

/** `[11:07:12.000] INFO: …` with its level in color. */
function paintLevel(line: string): string {
  return line.replace(/(?<=^\[[\d:.]+\] )[A-Z]+/, (level) => {
    const color = levelColors[level];
    return color === undefined ? level : styleText(color, level);
  });
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
