import type { Live } from '../admin/live.ts';
import type { Cell } from './cell.ts';
import { formatBytes, formatCount, formatMs, formatShare, formatSpan, unknown } from './format.ts';

type Status = Live['status'];
type Health = Status['supervisor'];

/** One row for the supervisor and for each worker. CPU time is counted since the status `before`. */
export function processRows(status: Status, before: Status | undefined): readonly (readonly Cell[])[] {
  const { supervisor, workers, pid } = status;
  return [
    ['supervisor', state('running'), String(pid), ...cells(supervisor, before?.supervisor), unknown, age(supervisor)],
    ...workers.map((worker) => {
      const earlier = before?.workers.find((each) => each.worker === worker.worker && each.pid === worker.pid);
      return [
        `worker ${worker.worker}`,
        state(worker.status),
        worker.pid === undefined ? unknown : String(worker.pid),
        ...cells(worker.health, earlier?.health),
        formatCount(worker.restarts ?? Number.NaN),
        age(worker.health),
      ];
    }),
  ];
}

/** Of one processor, between two reports of the same process. */
function cpuShare(now: Health | undefined, earlier: Health | undefined): number {
  const usedMs = (now?.cpuMs ?? Number.NaN) - (earlier?.cpuMs ?? Number.NaN);
  const passedMs = (now?.upMs ?? Number.NaN) - (earlier?.upMs ?? Number.NaN);
  return passedMs > 0 ? usedMs / passedMs : Number.NaN;
}

function state(text: string): Cell {
  return { text, mark: text === 'ready' || text === 'running' ? 'good' : 'warn' };
}

function cells(health: Health | undefined, earlier: Health | undefined): readonly string[] {
  return [
    formatBytes(health?.residentBytes ?? Number.NaN),
    formatBytes(health?.heapBytes ?? Number.NaN),
    formatShare(cpuShare(health, earlier)),
    formatMs(health?.lagMs ?? Number.NaN),
  ];
}

function age(health: Health | undefined): string {
  return formatSpan(health?.upMs ?? Number.NaN);
}
