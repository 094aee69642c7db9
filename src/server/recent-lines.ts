/** A log line, as the page shows it. */
export interface LogEntry {
  readonly level: string;
  /** As in the line; undefined if it has none. */
  readonly time: string | undefined;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const linesKept = 50;

/** The rest of a longer line is cut. */
const charactersKept = 2000;

const isSerious = /^\{"level":"(warn|error|fatal)"/;

/** The latest log lines at warn and above, in memory of a bounded size. */
export class RecentLines {
  readonly #lines: string[] = [];

  /** Takes a complete line of any level. */
  add(line: string): void {
    if (!isSerious.test(line)) return;
    // A copy, because a part of a string keeps all of it in memory.
    this.#lines.push(Buffer.from(line.slice(0, charactersKept)).toString());
    if (this.#lines.length > linesKept) this.#lines.shift();
  }

  /** Newest first. */
  get entries(): readonly LogEntry[] {
    return this.#lines.toReversed().map(readLine);
  }
}

/** A worker may write anything after the level, and a long line is cut. */
function readLine(line: string): LogEntry {
  try {
    const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    return {
      level: String(level),
      time: typeof time === 'string' ? time : undefined,
      message: typeof msg === 'string' ? msg : '',
      fields,
    };
  } catch {
    return { level: isSerious.exec(line)?.[1] ?? '', time: undefined, message: line.trimEnd(), fields: {} };
  }
}
