import { type Clock, systemClock } from '../../clock/clock.ts';
import { countOf } from '../../units.ts';
import type { SampleOptions } from './sample-options.ts';
import { formatTime } from './sample-text.ts';
import type { Terminal } from './terminal.ts';

const redrawMs = 200;

/** Shows a line of progress, unless it is undefined, five times a second until the returned function is called. */
export function keepShowing(
  terminal: Pick<Terminal, 'showProgress'>,
  line: (elapsedMs: number) => string | undefined,
  clock: Clock = systemClock,
): () => void {
  const beganMs = clock.monotonicMs();
  const cancel = clock.every(redrawMs, () => terminal.showProgress(line(clock.monotonicMs() - beganMs)));
  return () => {
    cancel();
    terminal.showProgress(undefined);
  };
}

/** `, 48s left` or `, 2m05s left`: at the rate so far, but not after the deadline. Empty if nothing says how long. */
export function formatTimeLeft(
  elapsedMs: number,
  done: number,
  total: number | undefined,
  deadlineMs: number = Infinity,
): string {
  const restMs = total === undefined || done <= 0 ? Infinity : (elapsedMs / done) * Math.max(0, total - done);
  const leftMs = Math.min(restMs, deadlineMs - elapsedMs);
  return leftMs === Infinity ? '' : formatLeft(leftMs);
}

function formatLeft(ms: number): string {
  const seconds = Math.ceil(Math.max(0, ms) / 1000);
  if (seconds < 60) return `, ${seconds}s left`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  const [larger, smaller] = hours > 0 ? [`${hours}h`, `${minutes % 60}m`] : [`${minutes}m`, `${seconds % 60}s`];
  return `, ${larger}${smaller.padStart(3, '0')} left`;
}

/** `12 of 60 probes`, or without a total `1 probe`. */
export function formatDone(done: number, total: number | undefined, noun: string): string {
  return total === undefined ? countOf(done, noun) : `${done} of ${countOf(total, noun)}`;
}

/** `, 4.0/s`. Empty in the first second, which says little. */
export function formatDoneRate(elapsedMs: number, done: number): string {
  if (elapsedMs < 1000) return '';
  const perSecond = (done / elapsedMs) * 1000;
  return `, ${perSecond < 100 ? perSecond.toFixed(1) : Math.round(perSecond)}/s`;
}

/** Counts the requests of a run to one or more targets, for a line of progress. */
export class RequestProgress {
  readonly #total: number | undefined;
  readonly #deadlineMs: number;
  #answered = 0;
  #lost = 0;
  #lastMs: number | undefined;

  /** `total` is the number of requests to all targets, or undefined if only a deadline or a signal ends the run. */
  constructor(total: number | undefined, deadlineMs: number = Infinity) {
    this.#total = total;
    this.#deadlineMs = deadlineMs;
  }

  /** A late answer is one to a request that was counted as lost. */
  answered(rttMs: number, isLate: boolean): void {
    this.#answered += 1;
    if (isLate && this.#lost > 0) this.#lost -= 1;
    this.#lastMs = rttMs;
  }

  lost(): void {
    this.#lost += 1;
  }

  /** `12 of 60 requests, 8.3% lost, 1.0/s, last 0.412 ms, 48s left`. */
  line(elapsedMs: number): string {
    const done = this.#answered + this.#lost;
    const count = formatDone(done, this.#total, 'request');
    const loss = done === 0 ? '' : `, ${Number(((this.#lost * 100) / done).toFixed(1))}% lost`;
    const last = this.#lastMs === undefined ? '' : `, last ${formatTime(this.#lastMs)} ms`;
    const left = formatTimeLeft(elapsedMs, done, this.#total, this.#deadlineMs);
    return `${count}${loss}${formatDoneRate(elapsedMs, done)}${last}${left}`;
  }
}

/**
 * Measures with a line of progress: if nothing else is printed meanwhile, as `isSilent` says, or not to a terminal. The
 * count is that of the requests to each host, 0 or undefined for no end.
 */
export async function withProgress<Result>(
  hosts: readonly string[],
  { count = 0, deadline }: Pick<SampleOptions, 'count' | 'deadline'>,
  isSilent: boolean,
  terminal: Pick<Terminal, 'showProgress' | 'isTerminal'>,
  measure: (progress: RequestProgress) => Promise<Result>,
): Promise<Result> {
  const progress = new RequestProgress(count === 0 ? undefined : count * hosts.length, deadline);
  if (!isSilent && terminal.isTerminal) return measure(progress);
  return measure(progress).finally(keepShowing(terminal, (elapsedMs) => progress.line(elapsedMs)));
}
