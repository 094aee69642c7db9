import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Beyond one for each client: libraries, logs, listeners, and the reserve that smallservd keeps. */
const spare = 1000;
/** Some programs have a table of all. */
const most = 1_000_000;

/** Returns how many files a server and the load generator need open for this many clients. */
export function openFilesNeeded(clients: number): number {
  return clients + spare;
}

/** Returns how many they may have open: the hard limit of this process, raised to `wanted` if that is permitted. */
export function openFilesAvailable(wanted: number): number {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  const hard = limit === 'unlimited' ? most : Math.min(Number(limit ?? 0), most);
  if (hard >= wanted) return hard;
  try {
    execFileSync('prlimit', [`--nofile=${wanted}:${wanted}`, 'true'], { stdio: 'ignore' });
    return wanted;
  } catch {
    return hard;
  }
}
