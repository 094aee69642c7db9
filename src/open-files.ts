import { readdirSync, readFileSync } from 'node:fs';

/** The limit on open files, and the number open. */
export interface OpenFiles {
  readonly limit: number;
  readonly open: number;
}

/** The soft limit in the text of /proc/PID/limits (proc_pid_limits(5)). Undefined if it is unlimited or not found. */
export function parseOpenFilesLimit(text: string): number | undefined {
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** Undefined if the system does not report them. Node has already raised the soft limit to the hard limit. */
export function readOpenFiles(): OpenFiles | undefined {
  try {
    const limit = parseOpenFilesLimit(readFileSync('/proc/self/limits', 'utf8'));
    return limit === undefined ? undefined : { limit, open: readdirSync('/proc/self/fd').length };
  } catch {
    return undefined;
  }
}
