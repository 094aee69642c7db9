/** Where programs run, and with how many open files. */
export interface Place {
  readonly processor: number;
  readonly openFiles: number;
}

/** Returns the arguments of taskset(1) that start a command in this place. */
export function pinned({ processor, openFiles }: Place, command: readonly string[]): readonly string[] {
  return ['--cpu-list', String(processor), 'prlimit', `--nofile=${openFiles}:${openFiles}`, ...command];
}
