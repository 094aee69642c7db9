import type { Sample } from '../../../bench/load-generator.ts';
import type { PeerName, Results, WorkResult } from '../../../bench/results.ts';

const peers: readonly PeerName[] = [
  { id: 'smallservd-26', family: 'smallservd', nodeMajor: 26, workers: 1, label: 'smallservd, Node 26' },
  { id: 'smallservd-20', family: 'smallservd', nodeMajor: 20, workers: 1, label: 'smallservd, Node 20' },
  { id: 'c', family: 'c', label: 'C, epoll' },
];

/** One second of load. */
export function sample(operations: number, cpuSeconds = 0.5): Sample {
  const percentiles = { p50Us: 10, p90Us: 20, p99Us: 30, p999Us: 40, maxUs: 50 };
  return { operations, bytes: 0, seconds: 1, errors: 0, lastError: '', lost: 0, cpuSeconds, ...percentiles };
}

export function work(name: string, clients: number, samples: WorkResult['samples']): WorkResult {
  return { name, title: `the work ${name}`, unit: 'operations', clients, samples };
}

export function results(works: readonly WorkResult[]): Results {
  return {
    date: '2026-11-22',
    command: 'npm run bench',
    minutes: 9.5,
    roundSeconds: 0.8,
    machine: {
      processor: 'a processor',
      processors: 2,
      shareCore: false,
      memoryGiB: 24,
      system: 'a system',
      kernel: '6.1',
      loadAverage: 0.1,
      versions: ['Node 26.10.0'],
    },
    peers,
    works,
    memory: {},
    starts: {},
    reloads: {},
    pages: {},
    missing: ['no Go: apt install golang-go'],
    remarks: [],
  };
}
