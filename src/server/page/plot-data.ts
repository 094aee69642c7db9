import type { HistoryPoint, HistoryPoints } from '../admin/history.ts';

/** How many periods may be between two points without a gap in the line. */
const gapPeriods = 2.5;

/** The points of all plots: what the daemon keeps, and what an earlier run of it had told. */
export class PlotData {
  /** Length of time that is kept, in seconds. */
  readonly spanS: number;
  readonly #periodS: number;
  /** Seconds since 1970, ascending. */
  readonly #times: number[] = [];
  /** By series, one value for each time. */
  readonly #values = new Map<string, (number | null)[]>();

  /** There is a point every `periodS` seconds. */
  constructor(periodS: number, spanS: number) {
    this.#periodS = periodS;
    this.spanS = spanS;
  }

  get times(): readonly number[] {
    return this.#times;
  }

  /** All series that have a value. */
  get names(): readonly string[] {
    return [...this.#values.keys()];
  }

  /** The values of a series, one for each time. */
  valuesOf(name: string): readonly (number | null)[] {
    return this.#values.get(name) ?? this.#times.map(() => null);
  }

  /** Replaces all points since the first of these. What is older came from a daemon that ran before. */
  replace(past: HistoryPoints): void {
    const [first = Number.POSITIVE_INFINITY] = past.times;
    const kept = this.#times.findIndex((time) => time >= first);
    if (kept >= 0) this.#cut(kept, this.#times.length - kept);
    for (const [index, time] of past.times.entries()) {
      const values = Object.entries(past.values).map(([name, all]) => [name, all[index] ?? null] as const);
      this.#add(time, new Map(values));
    }
  }

  /** Adds a point unless it is there already. Returns false if it is older: the daemon's wall clock has been set. */
  add({ time, values }: HistoryPoint): boolean {
    const last = this.#times.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (time > last) this.#add(time, new Map(Object.entries(values)));
    return time >= last;
  }

  #add(time: number, values: ReadonlyMap<string, number | null>): void {
    const last = this.#times.at(-1);
    if (last !== undefined && time - last > gapPeriods * this.#periodS) this.#append(last + this.#periodS, new Map());
    this.#append(time, values);
    const expired = this.#times.findIndex((each) => each >= time - this.spanS);
    if (expired > 0) this.#cut(0, expired);
  }

  #append(time: number, values: ReadonlyMap<string, number | null>): void {
    for (const name of values.keys())
      if (!this.#values.has(name))
        this.#values.set(
          name,
          this.#times.map(() => null),
        );
    this.#times.push(time);
    for (const [name, all] of this.#values) all.push(values.get(name) ?? null);
  }

  #cut(start: number, count: number): void {
    this.#times.splice(start, count);
    for (const all of this.#values.values()) all.splice(start, count);
  }
}

/** The current value, the minimum and the maximum; NaN where nothing is known. */
export interface Summary {
  readonly now: number;
  readonly min: number;
  readonly max: number;
}

/** Leaves out what is not known, unless it is the current value. */
export function summarize(values: readonly (number | null)[]): Summary {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return { now: Number.NaN, min: Number.NaN, max: Number.NaN };
  return { now: values.at(-1) ?? Number.NaN, min: Math.min(...known), max: Math.max(...known) };
}
