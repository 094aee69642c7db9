import { readdirSync, readFileSync } from 'node:fs';

/** How many files a process may have open, and has. */
export interface OpenFiles {
  readonly limit: number;
  readonly open: number;
}

/**
 * The soft limit in the text of /proc/PID/limits (proc_pid_limits(5)); undefined where it has none, or is not to be
 * found.
 */
export function parseOpenFilesLimit(text: string): number | undefined {
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/**
 * Those of this process; undefined on systems that do not tell. Node has raised the soft limit to the hard one by
 * itself.
 */
export function readOpenFiles(): OpenFiles | undefined {
  try {
    const limit = parseOpenFilesLimit(readFileSync('/proc/self/limits', 'utf8'));
    return limit === undefined ? undefined : { limit, open: readdirSync('/proc/self/fd').length };
  } catch {
    return undefined;
  }
}
