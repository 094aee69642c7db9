import type { Counter } from '../service.ts';

/** A counter that a service has declared, as it is reported. */
interface CustomCount {
  /** One line of printable ASCII. */
  readonly help: string;
  readonly count: number;
}

/** By name. Names and help texts are those that `CustomCounters` accepts. */
export type CustomCounts = Readonly<Record<string, CustomCount>>;

/** Of one service in one process. Reports and metrics grow with each. */
export const maxCustomCounters = 16;

/** Of one service in all processes, past ones included, whose module may have had other counters. */
const maxMergedCounters = 2 * maxCustomCounters;

/**
 * Part of a metric name, and the key of an object: valibot drops the names that an object has by itself. Names in
 * Prometheus may also have capitals, which nobody uses.
 */
export const customCounterName = /^(?!constructor$|prototype$|.*_total$)[a-z][a-z0-9_]{0,47}$/;

export const customCounterHelp = /^[ -~]{1,120}$/;

/** The counters that a service declares in one process. */
export class CustomCounters {
  readonly counts: Record<string, { readonly help: string; count: number }> = {};

  /**
   * Throws an Error if the name or the help text cannot be used, or if there are too many. A module in JavaScript may
   * pass anything, and a worker is killed if it reports what is not valid.
   */
  declare(name: unknown, help: unknown): Counter {
    if (typeof name !== 'string') throw new Error('the name of a counter is not a string');
    const quoted = JSON.stringify(name);
    if (!customCounterName.test(name))
      throw new Error(
        `the counter name ${quoted} is not valid: it must begin with a letter, consist of a-z, 0-9 and _, have ` +
          'at most 48 characters, not end in _total, and not be constructor or prototype',
      );
    if (typeof help !== 'string' || !customCounterHelp.test(help))
      throw new Error(`the help text of the counter ${quoted} is not printable ASCII, 1 to 120 characters`);
    if (!Object.hasOwn(this.counts, name) && Object.keys(this.counts).length === maxCustomCounters)
      throw new Error(`the counter ${quoted} is one too many: a service may have ${maxCustomCounters}`);
    const counter = (this.counts[name] ??= { help, count: 0 });
    return {
      add(amount = 1) {
        if (!Number.isSafeInteger(amount) || amount < 0)
          throw new RangeError(`cannot add ${amount} to the counter ${quoted}: expected a whole number of at least 0`);
        counter.count = Math.min(counter.count + amount, Number.MAX_SAFE_INTEGER);
      },
    };
  }
}

/**
 * Adds `more` to `total`, in place. What is in `total` has precedence: its help texts stay, and of `more` the counters
 * beyond the limit are left out, because workers choose their names.
 */
export function addCustomCounts(total: CustomCounts, more: CustomCounts): void {
  const sums = total as Record<string, CustomCount>;
  for (const [name, { help, count }] of Object.entries(more)) {
    const known = Object.hasOwn(sums, name) ? sums[name] : undefined;
    if (known === undefined && Object.keys(sums).length === maxMergedCounters) continue;
    sums[name] = { help: known?.help ?? help, count: (known?.count ?? 0) + count };
  }
}
