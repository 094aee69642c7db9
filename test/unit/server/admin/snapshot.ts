import type { Snapshot } from '../../../../src/server/admin/snapshot.ts';
import { newServiceCounters } from '../../../../src/server/counters.ts';

/** A daemon that is ready and has served somebody, with changes. */
export function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  const counters = newServiceCounters();
  counters.stream.accepted = 7;
  counters.stream.active = 2;
  counters.stream.closed.completed = 5;
  counters.stream.refused.rate = 3;
  counters.datagram.received = 11;
  counters.datagram.dropped['source-port'] = 4;
  return {
    version: '1.2.3',
    node: 'v20.20.2',
    pid: 4711,
    startedAt: '2026-11-22T11:07:12.000Z',
    upMs: 3_723_000,
    state: 'ready',
    notReady: [],
    config: { name: '/etc/smallservd.yaml', hash: '0123456789ab' },
    reload: { attempts: 0, failures: 0, isRunning: false, lastSuccessAt: null, last: null },
    supervisor: { lagMs: 1.5, residentBytes: 60 * 2 ** 20, heapBytes: 9_000_000 },
    workers: [
      { worker: 1, slot: 0, status: 'ready', pid: 4712, health: { lagMs: 2, residentBytes: 2 ** 26, heapBytes: 1000 } },
      { worker: 2, slot: 1, status: 'waiting', pid: undefined, health: undefined },
    ],
    workerDeaths: 1,
    listeners: [
      { service: 'echo', address: 'tcp://127.0.0.1:1201', isOpen: true },
      { service: 'echo', address: 'udp://127.0.0.1:1201', isOpen: false },
    ],
    services: { echo: { type: 'echo', topSources: [{ source: '192.0.2.7', connections: 2 }], ...counters } },
    lostLogLines: 0,
    ...changes,
  };
}
