import { readdirSync, readFileSync } from 'node:fs';
import { statFields } from '../../kernel/process-stat.ts';
import type { Activity } from './silence.ts';

/** USER_HZ, the unit of CPU times in /proc: 100 on every architecture that Node runs on. See time(7). */
const ticksPerSecond = 100;

/** The fields of /proc/PID/stat that matter here, see proc_pid_stat(5). */
interface Stat extends Omit<Activity, 'isRunnable'> {
  /** Of the main thread, or of the thread whose file it is. */
  readonly state: string;
  /** How many the process has. */
  readonly threads: number;
}

/** Reads the text of /proc/PID/stat or /proc/PID/task/TID/stat. The name of the process may contain anything. */
export function parseStat(text: string): Stat | undefined {
  const fieldOf = statFields(text);
  const state = fieldOf(3) ?? '';
  const field = (number: number): number => Number(fieldOf(number) || Number.NaN);
  const [majorFaults, threads] = [field(12), field(20)];
  const cpuMs = ((field(14) + field(15)) * 1000) / ticksPerSecond;
  return Number.isNaN(majorFaults + cpuMs + threads) ? undefined : { state, threads, cpuMs, majorFaults };
}

/** Returns the activity of a process. Undefined if the system does not tell, or the process is gone. */
export function readActivity(pid: number): Activity | undefined {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    if (stat === undefined) return undefined;
    const { state, threads, cpuMs, majorFaults } = stat;
    const isRunnable = state === 'R' || (threads <= mostThreads && hasRunnableThread(pid));
    return { cpuMs, majorFaults, isRunnable };
  } catch {
    return undefined;
  }
}

/**
 * Whether a process has ended, but its parent does not know: for a moment, or for as long as another process traces it,
 * see ptrace(2).
 */
export function isZombie(pid: number): boolean {
  return stateOf(`/proc/${pid}/stat`) === 'Z';
}

/** A worker has about ten threads. Even listing thousands would keep the supervisor busy. */
const mostThreads = 64;

/** The main thread may be waiting for another thread that is starved, as while it loads code. */
function hasRunnableThread(pid: number): boolean {
  const directory = `/proc/${pid}/task`;
  return readdirSync(directory).some((thread) => stateOf(`${directory}/${thread}/stat`) === 'R');
}

function stateOf(path: string): string | undefined {
  try {
    return parseStat(readFileSync(path, 'utf8'))?.state;
  } catch {
    // It has ended.
    return undefined;
  }
}
