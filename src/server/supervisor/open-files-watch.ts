import { readFileSync } from 'node:fs';
import type { Cancel, Clock } from '../../clock/clock.ts';
import { parseOpenFilesLimit, readOpenFiles } from '../../open-files.ts';

/** How often to look. */
const periodMs = 2000;

/**
 * Calls `lowered`, once, with the limit on open files of a child process if that falls below our own, which the child
 * inherited. Any program of the child's user can lower it, see prlimit(2), and the child would still report that it is
 * alive, but accept nobody.
 */
export function watchOpenFilesLimit(pid: number, clock: Clock, lowered: (limit: number) => void): Cancel {
  const inherited = readOpenFiles()?.limit;
  if (inherited === undefined) return () => {};
  const cancel = clock.every(periodMs, () => {
    const limit = limitOf(pid);
    if (limit === undefined || limit >= inherited) return;
    cancel();
    lowered(limit);
  });
  return cancel;
}

function limitOf(pid: number): number | undefined {
  try {
    return parseOpenFilesLimit(readFileSync(`/proc/${pid}/limits`, 'utf8'));
  } catch {
    // The process has ended.
    return undefined;
  }
}
