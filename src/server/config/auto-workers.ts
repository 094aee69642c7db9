import { availableParallelism, totalmem } from 'node:os';
import { type CgroupLimits, readCgroupLimits } from '../../cgroup.ts';

/** What the daemon may use. */
export interface Machine extends Omit<CgroupLimits, 'memoryBytes'> {
  readonly processors: number;
  /** The memory of the machine, or less if a control group limits it. */
  readonly memoryBytes: number;
}

/** What kept `workers: auto` below the number that the processors would allow. */
type WorkersLimit = { readonly cpus: number } | { readonly memoryBytes: number };

interface AutoWorkers {
  readonly workers: number;
  /** Undefined if nothing did. */
  readonly limit: WorkersLimit | undefined;
}

/** More do not serve more clients. */
const mostWorkers = 4;

/** While one hangs or is being replaced, the other serves. */
const fewestWorkers = 2;

const mebibyte = 2 ** 20;

/** What the supervisor and the process of the admin endpoint take, as measured with clients, rounded up. */
const supervisorBytes = 48 * mebibyte;

/** What a worker takes, twice: during a reload there are two generations. */
const workerBytes = 2 * 32 * mebibyte;

/**
 * Returns how many workers `workers: auto` means. Less than one processor only makes two workers start slower, so there
 * is one. If the memory does not suffice for a supervisor and a worker there is none, or one where `needsSupervisor`.
 */
export function autoWorkers({ processors, cpus, memoryBytes }: Machine, needsSupervisor: boolean): AutoWorkers {
  const wanted = Math.min(mostWorkers, Math.max(fewestWorkers, processors));
  const byCpus = cpus === undefined ? wanted : cpus < 1 ? 1 : Math.max(fewestWorkers, Math.ceil(cpus));
  const affordable = Math.max(0, Math.floor((memoryBytes - supervisorBytes) / workerBytes));
  const byMemory = needsSupervisor ? Math.max(1, affordable) : affordable;
  const workers = Math.min(wanted, byCpus, byMemory);
  if (workers === wanted) return { workers, limit: undefined };
  return { workers, limit: cpus !== undefined && byCpus === workers ? { cpus } : { memoryBytes } };
}

/** Reads what the daemon may use from the system. */
export function readMachine(): Machine {
  const { cpus, memoryBytes = Number.POSITIVE_INFINITY } = readCgroupLimits();
  // Node 20 does not know quotas, and counts only the processors that this process may use.
  return { processors: availableParallelism(), cpus, memoryBytes: Math.min(memoryBytes, totalmem()) };
}
