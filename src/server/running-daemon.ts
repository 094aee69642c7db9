import { mergeOffenders, type ServiceOffenders } from './guard/offenders.ts';
import type { FaultRules } from './faults/fault-rules.ts';
import type { ServiceCounters } from './counters.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { SourceCount } from './guard/admission.ts';
import type { CpuTime, ProcessHealth } from './process-health.ts';
import type { BoundAddress } from './transport/listener.ts';
import type { PlannedListener } from './transport/plan.ts';

/** An open listener. */
export interface RunningListener extends BoundAddress {
  /** The service's instance name. */
  readonly service: string;
}

/** A bound listener, as last reported. */
interface ListenerState {
  readonly service: string;
  /** `tcp://127.0.0.1:1201`. */
  readonly address: string;
  readonly isOpen: boolean;
}

export interface WorkerState {
  readonly worker: number;
  /** That it shares with the workers before and after it. Earlier versions, and a daemon of one process, do not say. */
  readonly slot?: number | undefined;
  /** `waiting` and `resting` have no process; `draining` ends when its clients have finished. */
  readonly status: 'starting' | 'ready' | 'waiting' | 'resting' | 'stopped' | 'draining';
  readonly pid: number | undefined;
  /** As of its last heartbeat. */
  readonly health: ProcessHealth | undefined;
  /** How often it was started again. Earlier versions do not say. */
  readonly restarts?: number | undefined;
}

/** The state of a daemon. */
export interface DaemonReport {
  readonly state: 'starting' | 'ready' | 'draining';
  readonly workers: readonly WorkerState[];
  /** How many workers ended without being told to. */
  readonly workerDeaths: number;
  /** By slot, of those that are gone as well. Empty if the daemon has only one process. */
  readonly workerCpu: readonly CpuTime[];
  readonly listeners: readonly ListenerState[];
  /** By instance name. Counters never decrease. */
  readonly services: ReadonlyMap<string, ServiceCounters>;
  /** By instance name: the sources with the most connections. */
  readonly topSources: ReadonlyMap<string, readonly SourceCount[]>;
  /** By instance name: who was turned away most often lately. */
  readonly offenders: ReadonlyMap<string, ServiceOffenders>;
}

/** Merges the sources of several processes, largest first. */
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

/** Merges those of several processes. */
export function mergeServiceOffenders(
  parts: readonly ReadonlyMap<string, ServiceOffenders>[],
): ReadonlyMap<string, ServiceOffenders> {
  const services = new Set(parts.flatMap((part) => [...part.keys()]));
  return new Map(
    [...services].map((service) => {
      const all = parts.flatMap((part) => part.get(service) ?? []);
      const refused = mergeOffenders(all.map((each) => each.refused));
      return [service, { refused, dropped: mergeOffenders(all.map((each) => each.dropped)) }];
    }),
  );
}

/** A running daemon, in one process or several. */
export interface RunningDaemon {
  readonly listeners: readonly RunningListener[];
  /** Listeners not open because the machine lacks the address family. */
  readonly skipped: readonly PlannedListener[];
  /**
   * Resolves when all listeners are open. Rejects, with nothing left running, if one cannot be opened. If a stop comes
   * first, only `ended` is sure to settle.
   */
  readonly ready: Promise<void>;
  /** Resolves when the daemon has ended for any reason. */
  readonly ended: Promise<ExitCode>;
  readonly report: DaemonReport;
  /** Accepts no new clients, lets existing ones finish up to `shutdown.grace`, then ends the rest. */
  stop(): Promise<ExitCode>;
  /** Ends at once, including clients. */
  destroy(): void;
  /**
   * Replaces the faults of a service of the running config, in all processes, until the next reload. Undefined: none.
   */
  setFaults(service: string, rules: FaultRules | undefined): void;
  /** Logs listeners, clients and counters. */
  logState(): void;
}
