import type { ServiceCounters } from './counters.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { SourceCount } from './guard/admission.ts';
import type { ProcessHealth } from './process-health.ts';
import type { BoundAddress } from './transport/listener.ts';
import type { PlannedListener } from './transport/plan.ts';

/** One open listener. */
export interface RunningListener extends BoundAddress {
  /** The name of the service's instance. */
  readonly service: string;
}

/** A listener that is bound, as far as anybody knows. */
export interface ListenerState {
  readonly service: string;
  /** `tcp://127.0.0.1:1201`. */
  readonly address: string;
  readonly isOpen: boolean;
}

export interface WorkerState {
  readonly worker: number;
  /** `waiting`, `resting` and `refused` have no process; `draining` ends when its clients have finished. */
  readonly status: 'starting' | 'ready' | 'waiting' | 'resting' | 'refused' | 'stopped' | 'draining';
  readonly pid: number | undefined;
  /** As of its last heartbeat. */
  readonly health: ProcessHealth | undefined;
}

/** How a daemon is doing. */
export interface DaemonReport {
  readonly state: 'starting' | 'ready' | 'draining';
  readonly workers: readonly WorkerState[];
  /** How often a worker ended that was not told to. */
  readonly workerDeaths: number;
  readonly listeners: readonly ListenerState[];
  /** By the name of the instance; none ever falls. */
  readonly services: ReadonlyMap<string, ServiceCounters>;
  /** By the name of the instance: who has the most connections. */
  readonly topSources: ReadonlyMap<string, readonly SourceCount[]>;
}

/** Adds up what several processes say of their sources; those with the most first. */
export function mergeSources(
  parts: readonly ReadonlyMap<string, readonly SourceCount[]>[],
): ReadonlyMap<string, readonly SourceCount[]> {
  const sums = new Map<string, Map<string, number>>();
  for (const [service, counts] of parts.flatMap((part) => [...part])) {
    const sum = sums.get(service) ?? new Map<string, number>();
    sums.set(service, sum);
    for (const { source, connections } of counts) sum.set(source, (sum.get(source) ?? 0) + connections);
  }
  return new Map(
    [...sums].map(([service, sum]) => [
      service,
      [...sum]
        .map(([source, connections]) => ({ source, connections }))
        .sort((one, other) => other.connections - one.connections),
    ]),
  );
}

/** A daemon that is up, in one process or several. */
export interface RunningDaemon {
  readonly listeners: readonly RunningListener[];
  /** What is not open because the machine lacks the address family. */
  readonly skipped: readonly PlannedListener[];
  /**
   * Resolves when all listeners are open; rejects, with nothing left running, where one cannot be. When a stop comes
   * first, only `ended` is sure to settle.
   */
  readonly ready: Promise<void>;
  /** Resolves when the daemon has ended, however that came. */
  readonly ended: Promise<ExitCode>;
  readonly report: DaemonReport;
  /** Takes no new client, lets those it has finish up to `shutdown.grace`, ends the rest. */
  stop(): Promise<ExitCode>;
  /** Ends at once, clients and all. */
  destroy(): void;
  /** Writes listeners, clients and counters into the log. */
  logState(): void;
}
