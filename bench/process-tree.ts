import { readdirSync, readFileSync } from 'node:fs';

/** Ticks of utime and stime in a second: USER_HZ, 100 on every Linux. */
const ticksPerSecond = 100;

/** Returns these processes, their children, the children of those, and so on. See proc(5). */
export function processesBelow(pids: readonly number[]): readonly number[] {
  return pids.flatMap((pid) => [pid, ...processesBelow(childrenOf(pid))]);
}

function childrenOf(pid: number): readonly number[] {
  return threadsOf(pid).flatMap((thread) => numbersIn(read(`/proc/${pid}/task/${thread}/children`)));
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    // It has ended.
    return [];
  }
}

/**
 * Returns the CPU time of these processes and of all below them, in seconds. /proc/PID/task/TID/schedstat has it to the
 * nanosecond but forgets threads that have ended, /proc/PID/stat has it in hundredths of a second but forgets nothing.
 */
export function cpuSecondsOf(pids: readonly number[]): number {
  return [...cpuSecondsByProcess(pids).values()].reduce((sum, seconds) => sum + seconds, 0);
}

/** The same for each of them, with its children that have ended. */
export function cpuSecondsByProcess(pids: readonly number[]): ReadonlyMap<number, number> {
  return new Map(processesBelow(pids).map((pid) => [pid, cpuSecondsOfOne(pid)]));
}

function cpuSecondsOfOne(pid: number): number {
  const { own, children } = timesIn(read(`/proc/${pid}/stat`));
  const threads = threadsOf(pid).map((thread) => numbersIn(read(`/proc/${pid}/task/${thread}/schedstat`))[0] ?? 0);
  const scheduled = threads.reduce((sum, nanoseconds) => sum + nanoseconds / 1e9, 0);
  return children + Math.max(own, scheduled);
}

/** Reads /proc/PID/stat: CPU time of the process itself, and of its children that it has waited for, in seconds. */
export function timesIn(stat: string): { readonly own: number; readonly children: number } {
  // The name of the program, in parentheses, may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15).map(Number);
  return { own: (user + system) / ticksPerSecond, children: (childUser + childSystem) / ticksPerSecond };
}

/** Returns the memory of these processes and of all below them, shared pages divided among those that map them. */
export function memoryBytesOf(pids: readonly number[]): number {
  const kibibytes = processesBelow(pids).map((pid) =>
    Number(/^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0),
  );
  return kibibytes.reduce((sum, each) => sum + each, 0) * 1024;
}

function numbersIn(text: string): readonly number[] {
  return text.split(/\s+/).filter(Boolean).map(Number);
}

/** Empty if the process has ended meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
