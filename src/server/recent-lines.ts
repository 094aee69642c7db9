/** A log line, as the page shows it. */
export interface LogEntry {
  readonly level: string;
  /** As in the line; undefined if it has none. */
  readonly time: string | undefined;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const linesKept = 50;

/** The rest of a longer line is cut, not counting punctuation. */
const charactersKept = 2000;

/** The most characters of a line whose values are cut one by one; of longer ones, the start is kept as it is. */
const charactersRead = 65_536;

const isSerious = /^\{"level":"(warn|error|fatal)"/;

/** The latest log lines at warn and above, in memory of a bounded size. */
export class RecentLines {
  readonly #lines: string[] = [];

  /** Takes a complete line of any level. */
  add(line: string): void {
    if (!isSerious.test(line)) return;
    // A copy, because a part of a string keeps all of it in memory.
    this.#lines.push(Buffer.from(shorten(line)).toString());
    if (this.#lines.length > linesKept) this.#lines.shift();
  }

  /** Newest first. */
  get entries(): readonly LogEntry[] {
    return this.#lines.toReversed().map(readLine);
  }
}

function shorten(line: string): string {
  if (line.length <= charactersKept) return line;
  try {
    if (line.length <= charactersRead) return JSON.stringify(firstOf(JSON.parse(line) as Record<string, unknown>));
  } catch {
    // A worker may write anything after the level.
  }
  return line.slice(0, charactersKept);
}

/** As much of the fields of a line as is kept, `level`, `time` and `msg` first. */
function firstOf({ level, time, msg, ...fields }: Record<string, unknown>): Readonly<Record<string, unknown>> {
  const kept: [string, unknown][] = [];
  let left = charactersKept;
  for (const [name, value] of Object.entries({ level, time, msg, ...fields })) {
    if (value === undefined) continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    left -= name.length;
    if (left <= 0) break;
    kept.push([name, text.length <= left ? value : `${text.slice(0, left - 1)}…`]);
    left -= text.length;
  }
  return Object.fromEntries(kept);
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
