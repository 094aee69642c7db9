import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { type Processors, siblingsOf } from './processors.ts';

/** Where the figures come from. */
export interface Machine {
  readonly processor: string;
  readonly processors: number;
  /** Whether the servers' processor and that of the load are two threads of one core. */
  readonly shareCore: boolean;
  readonly memoryGiB: number;
  readonly system: string;
  readonly kernel: string;
  /** The load average of a minute when the run began: other work disturbs it. */
  readonly loadAverage: number;
  /** Name and version. */
  readonly versions: readonly string[];
}

/** Describes the machine, without its name or anything else that tells whose it is. */
export function describeMachine(processors: Processors, versions: readonly string[]): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: cpus().length,
    shareCore: siblingsOf(processors.server).includes(processors.load),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: /^PRETTY_NAME="(.*)"$/m.exec(readText('/etc/os-release'))?.[1] ?? type(),
    kernel: release(),
    loadAverage: Number(readText('/proc/loadavg').split(' ')[0] ?? 0),
    versions,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
