import { performance } from 'node:perf_hooks';
import { formatDuration } from '../../units.ts';

/** The time in seconds since 1970 with microseconds, in brackets, as `ping -D` prints it. */
export function timestamp(): string {
  return `[${((performance.timeOrigin + performance.now()) / 1000).toFixed(6)}] `;
}

/** Why a request is given up. */
export function formatWait(waitedMs: number): string {
  return `no answer within ${formatDuration(Math.round(waitedMs))}`;
}

/** Milliseconds like ping(8): three significant digits, but no more than the clock can resolve. */
export function formatTime(ms: number): string {
  return ms.toFixed(ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0);
}
