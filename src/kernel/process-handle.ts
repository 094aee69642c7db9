import { closeSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { libc } from './libc.ts';
import { statFields } from './process-stat.ts';
import { errorCodeOf, systemError } from './system-error.ts';

/** The same number on every architecture that libc.ts knows, see asm-generic/unistd.h. */
const pidfd_send_signal = 424;
const pidfd_open = 434;

/** PID_MAX_LIMIT of 64-bit Linux. */
export const largestPid: number = 2 ** 22;

/** A process. Another that gets its number after its end is not taken for it. */
export interface ProcessHandle {
  /** Throws the system's error: `ESRCH` if the process has ended, `EPERM` if it may not be signaled. */
  signal(name: NodeJS.Signals): void;
  close(): void;
}

/**
 * Returns the process that has this number now, or undefined if there is none. Without koffi, and where the system does
 * not offer or permit pidfd_open(2), a process is known by its start time, if /proc shows it. Then a few microseconds
 * are left in which it could end, between the last look and the signal.
 */
export function openProcess(pid: number): ProcessHandle | undefined {
  // 0 and negative numbers stand for groups of processes, see kill(2).
  if (!Number.isInteger(pid) || pid < 1 || pid > largestPid) return undefined;
  const system = libc;
  if (system === undefined) return openByStartTime(pid);
  const descriptor = system.syscall(pidfd_open, pid, 0, 0, 0);
  if (descriptor < 0) {
    // There is none, or it is the number of a thread.
    const isNone = ['ESRCH', 'EINVAL', 'ENOENT'].includes(errorCodeOf(system.errno()));
    return isNone ? undefined : openByStartTime(pid);
  }
  return {
    signal(name) {
      if (system.syscall(pidfd_send_signal, descriptor, constants.signals[name], 0, 0) < 0) throw systemError('kill');
    },
    close: () => closeSync(descriptor),
  };
}

/** `startTimeOf` returns undefined if the system does not tell. */
export function openByStartTime(
  pid: number,
  startTimeOf: (pid: number) => string | undefined = readStartTime,
): ProcessHandle | undefined {
  if (!exists(pid)) return undefined;
  const started = startTimeOf(pid);
  return {
    signal(name) {
      if (startTimeOf(pid) !== started) throw systemError('kill', constants.errno.ESRCH);
      process.kill(pid, name);
    },
    close() {},
  };
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It is another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot, see proc_pid_stat(5). */
function readStartTime(pid: number): string | undefined {
  try {
    return statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'))(22);
  } catch {
    return undefined;
  }
}
