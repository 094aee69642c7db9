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

/** Values nested deeper are shown as text, because readers limit how deep an answer is. */
const levelsKept = 10;

const isSerious = /^\{"level":"(?:warn|error|fatal)"/;

/** How our log begins each line. Keys of the same names may follow: the fields of a worker's line can be any. */
const beginning = /^\{"level":"(warn|error|fatal)"(?:,"time":"([-+\d]{10,13}T[\d:.]{8,12}Z)")?/;

/** The latest log lines at warn and above, in memory of a bounded size. */
export class RecentLines {
  /** A line is read only for someone who looks, because a worker may write many that nobody sees. */
  readonly #lines: (string | LogEntry)[] = [];

  /** Takes a complete line of any level. */
  add(line: string): void {
    if (!isSerious.test(line)) return;
    this.#lines.push(copyOf(line.length > charactersRead ? line.slice(0, charactersKept) : line));
    if (this.#lines.length > linesKept) this.#lines.shift();
  }

  /** Newest first. */
  get entries(): readonly LogEntry[] {
    const entries = this.#lines.map((line) => (typeof line === 'string' ? readLine(line) : line));
    this.#lines.splice(0, entries.length, ...entries);
    return entries.toReversed();
  }
}

/** A part of a string keeps all of it in memory. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}

/** A worker may write anything after the level, and a long line is cut. */
function readLine(line: string): LogEntry {
  const [start = '', level = '', time] = beginning.exec(line) ?? [];
  try {
    const { level: _level, time: _time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const kept = firstOf({ msg: typeof msg === 'string' ? msg : '', ...fields }, charactersKept - start.length);
    const { msg: message, ...others } = JSON.parse(copyOf(JSON.stringify(kept))) as Record<string, unknown>;
    return { level, time: timeOf(time), message: typeof message === 'string' ? message : '', fields: others };
  } catch {
    return { level, time: undefined, message: copyOf(line.slice(0, charactersKept).trimEnd()), fields: {} };
  }
}

function timeOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : copyOf(text);
}

/** As many of the fields as have room, in their order. */
function firstOf(fields: Readonly<Record<string, unknown>>, room: number): Readonly<Record<string, unknown>> {
  const kept: [string, unknown][] = [];
  let left = room;
  for (const [name, value] of Object.entries(fields)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    left -= name.length;
    if (left <= 0) break;
    const whole = isDeeper(value, levelsKept) ? text : value;
    kept.push([name, text.length <= left ? whole : `${text.slice(0, left - 1)}…`]);
    left -= text.length;
  }
  return Object.fromEntries(kept);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}
