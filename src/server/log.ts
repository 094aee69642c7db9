import { close, fstatSync } from 'node:fs';
import { styleText } from 'node:util';
import { type Level, type Logger, pino } from 'pino';
import sonicBoom, { type SonicBoom } from 'sonic-boom';
import type { LogConfig } from './config/config.ts';
import { SmallservdError } from '../errors.ts';
import { type LogOwner, type OpenLogFile, openLogFile } from './log-file.ts';
import { RecentLines } from './recent-lines.ts';
import { escapeControls, escapeToOneLine } from '../terminal-text.ts';

/** Bytes of complete lines that may wait for a log reader. Beyond it complete lines are dropped and counted. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** Delay before retrying a failed write if no other line comes first. */
const retryMs = 1000;

/** How long process exit may wait for the log's reader, and a reopening for the disk of the previous file. */
const flushDeadlineMs = 1000;

/** A log file and the path to reopen. */
type LogFile = OpenLogFile & { readonly path: string };

/** The destination of complete lines, one per process. A stalled reader costs lines but never blocks us. */
export class LogSink {
  /** Of all lines written here, lost or not. */
  readonly recent: RecentLines = new RecentLines();
  #destination: SonicBoom;
  /** Transforms a complete line for output. Only our own colors remain as terminal control sequences. */
  readonly #shape: (line: string) => string;
  /** Undefined: standard output. */
  #file: LogFile | undefined;
  #owner: LogOwner | null;
  /** Destination of the file before the last reopening. Lines may still be waiting for it. */
  #previous: SonicBoom | undefined;
  #reopening: Promise<void> = Promise.resolve();
  /** Lines are waiting to be written. */
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

  /** Counts lines lost before they reached the sink. */
  addLost(lines: number): void {
    this.#dropped += lines;
    this.#droppedInAll += lines;
    // A worker reports its losses a second later. By then everything may be written, and no drain would report them.
    if (lines > 0 && !this.#isWaiting) this.#recovered?.(this.takeLost());
  }

  /** Lines lost since startup. */
  get lostInAll(): number {
    return this.#droppedInAll;
  }

  /** Returns the lines lost since the last call, for a sink that does not report them itself. */
  takeLost(): number {
    const lines = this.#dropped;
    this.#dropped = 0;
    return lines;
  }

  /** Logs the number of lost lines as soon as the reader accepts lines again. */
  reportLostLines(log: Logger): void {
    this.#recovered = (lines) => log.warn({ lines }, 'log lines lost, reader too slow or disk full');
  }

  /** Standard output: readable on a terminal, with syslog priorities for the journal, JSON lines otherwise. */
  static async standardOutput(): Promise<LogSink> {
    if (process.stdout.isTTY) {
      const readable = await readableShape();
      return new LogSink(1, process.stdout.hasColors() ? (line) => paintLevel(readable(line)) : readable);
    }
    return new LogSink(1, isJournal() ? (line) => withPriority(escapeLine(line)) : escapeLine);
  }

  /**
   * Appends JSON lines to a file. Only root, the user of this process and `owner` may control where it is. Throws what
   * `openLogFile` throws.
   */
  static async file(path: string, owner: LogOwner | null): Promise<LogSink> {
    const opened = await openLogFile(path, owner);
    return new LogSink(opened.fd, escapeLine, { ...opened, path }, owner);
  }

  /** Sets who may own the log file on reopening, in addition to root and the user of this process. */
  trust(owner: LogOwner | null): void {
    this.#owner = owner;
  }

  #open(fd: number): SonicBoom {
    // With minLength 0 `flush` does nothing. None of our lines is shorter than 1.
    const destination = new sonicBoom.SonicBoom({ fd, sync: false, minLength: 1, maxLength: maxWaitingBytes });
    destination.on('drop', () => this.addLost(1));
    // On a full disk or a closed reader there is nobody to tell, and serving goes on. Pending data is kept and retried:
    // sonic-boom retries at the next line, but not once its buffer is full.
    let retry: NodeJS.Timeout | undefined;
    destination.on('error', () => {
      // Each line that cannot be written is also an error.
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

  /** Writes one complete line, including its newline. */
  write(line: string): void {
    this.recent.add(line);
    this.#isWaiting = true;
    this.#destination.write(this.#shape(line));
  }

  /** Writes text for a person at a terminal, not a log line. */
  print(text: string): void {
    this.#isWaiting = true;
    this.#destination.write(escapeControls(text));
  }

  /**
   * Reopens the log file by name after it was moved away. Lines go to the old file until the new one is open. The old
   * file is closed after its pending lines are written. Rejects with what `openLogFile` throws, or `LOG_FILE`, and
   * keeps the old file.
   */
  async reopen(): Promise<void> {
    // One at a time: the file may have been moved away again since the previous one began.
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
    // Each file may have 4 MiB pending, so allow at most two files.
    if (isMoved)
      throw new SmallservdError('LOG_FILE', `log.file ${old.path}: lines for the previous file are still queued`);
  }

  async #previousIsClosed(): Promise<boolean> {
    const previous = this.#previous;
    if (previous === undefined) return true;
    await settledInTime([previous]);
    return isClosed(previous);
  }

  /** Writes pending lines, and gives up after a second: a stalled reader must not keep the process alive. */
  async flush(): Promise<void> {
    const waiting = this.#isWaiting ? [this.#destination] : [];
    await settledInTime(this.#previous === undefined ? waiting : [this.#previous, ...waiting]);
  }
}

/** Waits for at most a second until all pending data is written, or cannot be. */
async function settledInTime(destinations: readonly SonicBoom[]): Promise<void> {
  const open = destinations.filter((destination) => !isClosed(destination));
  if (open.length === 0) return;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), flushDeadlineMs);
  await Promise.all(open.map((destination) => settled(destination, deadline.signal)));
  clearTimeout(timer);
}

/** `close` is for a destination told to end, which no longer emits `drain`. */
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

/** Whether everything is written and the descriptor is closed or about to be. Missing from its types. */
function isClosed(destination: SonicBoom): boolean {
  return 'destroyed' in destination && destination.destroyed === true;
}

/** What our pino logs write their lines to. */
export interface LineWriter {
  write(line: string): void;
}

/** Creates a structured log that writes to `sink`. `bindings` are added to each line. */
export function createLog({ level }: Pick<LogConfig, 'level'>, sink: LineWriter, bindings: object = {}): Logger {
  const options = {
    level,
    base: bindings,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, sink);
}

/** Returns a function that makes a log line readable. What pino-pretty cannot read stays as it is, escaped. */
export async function readableShape(): Promise<(line: string) => string> {
  // Most daemon processes have no terminal, and start faster without it.
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({ singleLine: true, translateTime: 'SYS:HH:MM:ss.l', colorize: false });
  return (line) => {
    try {
      // It prints messages and stacks unescaped, so escape its output. A tab would shift the text after it.
      const text = escapeControls(pretty(onOneLine(line))).replaceAll('\t', '\\u0009');
      // Only the lines of an error follow, indented: one at the margin would look like a log line of its own.
      return text.replaceAll(/\n(?=\S)/g, '\n    ');
    } catch {
      // A worker may write any JSON, also fields of our names with values that it fails on.
      return escapeLine(line);
    }
  };
}

/** The fields that pino-pretty prints as they are. Any of them may hold what a client sent to a module. */
const bareFields = ['level', 'time', 'timestamp', 'name', 'pid', 'hostname', 'caller', 'msg'] as const;

/** pino-pretty does not escape newlines in these fields, which would look like log lines. It gets others unchanged. */
function onOneLine(line: string): object | string {
  if (!/\\n|\\u000a/i.test(line)) return line;
  try {
    const fields = JSON.parse(line) as Record<string, unknown>;
    for (const name of bareFields) if (Object.hasOwn(fields, name)) fields[name] = inOneLine(fields[name]);
    return fields;
  } catch {
    return line;
  }
}

function inOneLine(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('\n', '\\n');
  return typeof value === 'object' ? JSON.stringify(value) : value;
}

/** Our JSON has no raw control characters, but a worker may write anything. */
function escapeLine(line: string): string {
  return line.endsWith('\n') ? `${escapeToOneLine(line.slice(0, -1))}\n` : escapeToOneLine(line);
}

const levelColors = {
  TRACE: 'gray',
  DEBUG: 'blue',
  INFO: 'green',
  WARN: 'yellow',
  ERROR: 'red',
  FATAL: 'red',
} as const;

/** Colors the level in `[11:07:12.000] INFO: …`. */
function paintLevel(line: string): string {
  return line.replace(/(?<=^\[[\d:.]+\] )[A-Z]+/, (level) =>
    level in levelColors ? styleText(levelColors[level as keyof typeof levelColors], level) : level,
  );
}

/** Whether our standard output is the journal's own stream: systemd.exec(5), JOURNAL_STREAM. */
function isJournal(): boolean {
  const stream = process.env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(1);
  return stream === `${dev}:${ino}`;
}

const priorities: Readonly<Record<Level, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

/** sd-daemon(3): the journal reads a line's priority from a `<N>` prefix. */
export function withPriority(line: string): string {
  const level = /^\{"level":"(fatal|error|warn|info|debug|trace)"/.exec(line)?.[1] ?? 'info';
  return `<${priorities[level as Level]}>${line}`;
}
