/** What a process has done, as the system counts it. */
export interface Activity {
  /** CPU time of all its threads in milliseconds. */
  readonly cpuMs: number;
  /** How often a thread had to wait for a page to be read from disk. */
  readonly majorFaults: number;
  /** Whether a thread is running or waiting for a processor. False if all sleep, are blocked or stopped. */
  readonly isRunnable: boolean;
}

/** How long a process has been silent since its last report, in milliseconds. */
export interface Silence {
  /** As its supervisor has seen it, which itself may have been starved or stopped. */
  readonly watchedMs: number;
  /** The part of it in which the process could have reported. */
  readonly usableMs: number;
  /** As of the last time that it was read. */
  readonly activity: Activity | undefined;
}

export const noSilence: Silence = { watchedMs: 0, usableMs: 0, activity: undefined };

/** How often its supervisor looks at a silent process. */
export const tickPeriodMs = 500;

/** A report is overdue after this time, and the activity of the process is read from then on. */
const overdueMs = 1000;

/**
 * The part of its patience in which a process must have been able to report, or it is starved and gets more time. One
 * that spins on two fifths of a processor gets none. With less, one turn of a busy event loop could take as long.
 */
const usablePart = 0.25;

/** A process that seems to be starved gets this long and no more, however long its patience: it may only pretend. */
const longestSilenceMs = 300_000;

/** Whether the activity of the process is worth reading, for the next `lengthen`. */
export function isOverdue({ watchedMs }: Silence): boolean {
  return watchedMs >= overdueMs;
}

/**
 * Adds the time since the last look, of which at most one period counts: after a longer time it was the supervisor that
 * did not run. A process that wants to run could report only while it had a processor, and one that waits for its
 * memory could not. `activity` undefined: unknown, so all of the time counts.
 */
export function lengthen(before: Silence, elapsedMs: number, activity: Activity | undefined): Silence {
  const periodMs = Math.min(elapsedMs, tickPeriodMs);
  const watchedMs = before.watchedMs + periodMs;
  if (!isOverdue(before)) return { ...before, watchedMs };
  const usableMs = before.usableMs + usableOf(before.activity, activity, elapsedMs, periodMs);
  return { watchedMs, usableMs, activity };
}

/** Whether a process is hung: silent for `patienceMs`, although it was able to report, or for five minutes. */
export function isHung({ watchedMs, usableMs }: Silence, patienceMs: number): boolean {
  if (watchedMs >= longestSilenceMs) return true;
  return watchedMs >= patienceMs && usableMs >= patienceMs * usablePart;
}

function usableOf(
  before: Activity | undefined,
  activity: Activity | undefined,
  elapsedMs: number,
  periodMs: number,
): number {
  if (activity === undefined) return periodMs;
  const wantsToRun = activity.isRunnable || (before !== undefined && activity.majorFaults > before.majorFaults);
  if (!wantsToRun) return periodMs;
  return before === undefined ? 0 : Math.min(activity.cpuMs - before.cpuMs, elapsedMs);
}
