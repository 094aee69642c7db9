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
