import type { ErrorCode } from '../../errors.ts';
import type { ServiceCounters } from '../counters.ts';
import type { SourceCount } from '../guard/admission.ts';
import type { ServiceOffenders } from '../guard/offenders.ts';
import type { CpuTime, ProcessHealth } from '../process-health.ts';
import type { DaemonReport } from '../running-daemon.ts';

/** Our name in the Server header, to tell this endpoint from other HTTP servers. */
export const endpointName = 'smallservd';

/** The result of the last reload. */
export interface ReloadResult {
  readonly succeeded: boolean;
  /** ISO 8601. */
  readonly at: string;
  /** How long ago that was, by the monotonic clock of the daemon. Earlier versions do not say. */
  readonly agoMs?: number | undefined;
  readonly tookMs: number;
  /** The code of the error, if it has one. Earlier versions do not say. */
  readonly code?: ErrorCode | undefined;
  /** The errors, one line each. */
  readonly errors: readonly string[];
}

/** What a service does in a second, lately. */
export interface ServiceRates {
  /** Connections accepted and datagrams received. */
  readonly requests: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Connections refused. */
  readonly refused: number;
  /** Datagrams dropped. */
  readonly dropped: number;
}

export interface ServiceStatus extends Omit<ServiceCounters, 'custom' | 'handlerTime'> {
  readonly type: string;
  /** How long it took for timed calls. Earlier versions do not say. */
  readonly handlerTime?: ServiceCounters['handlerTime'] | undefined;
  /** What the service itself counts, by name. Earlier versions do not say. */
  readonly custom?: ServiceCounters['custom'] | undefined;
  readonly topSources: readonly SourceCount[];
  /** Who was turned away most often lately. Earlier versions do not say. */
  readonly offenders?: ServiceOffenders | undefined;
  /** Only the daemon program says, and not in its first seconds. */
  readonly rates?: ServiceRates | undefined;
}

/** CPU time of the processes of a daemon. */
interface CpuTimes {
  readonly supervisor: CpuTime;
  /** By slot: of all workers that have had it, those of earlier configs and those that are gone as well. */
  readonly workers: readonly CpuTime[];
  /** Undefined if the admin endpoint has no process of its own. */
  readonly admin?: CpuTime | undefined;
}

/** The state of the daemon at one moment, as JSON. The source of /status and the metrics. */
export interface Snapshot extends Pick<DaemonReport, 'state' | 'workers' | 'workerDeaths' | 'listeners'> {
  readonly version: string;
  /** Version of Node. */
  readonly node: string;
  /** Process ID of the supervisor. */
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  /** How long ago that was, by the monotonic clock of the daemon. Earlier versions do not say. */
  readonly upMs?: number | undefined;
  /** Why /readyz fails, or empty if it succeeds. */
  readonly notReady: readonly string[];
  readonly config: {
    readonly name: string;
    /** Hash of the resolved config, equal for two files with the same meaning. */
    readonly hash: string;
  };
  readonly reload: {
    readonly attempts: number;
    readonly failures: number;
    readonly isRunning: boolean;
    /** ISO 8601, or null if the config has not been reloaded since the start. */
    readonly lastSuccessAt: string | null;
    readonly last: ReloadResult | null;
  };
  readonly supervisor: ProcessHealth;
  /** CPU time since the start of the daemon. Earlier versions do not say. */
  readonly cpu?: CpuTimes | undefined;
  /** By instance name. */
  readonly services: Readonly<Record<string, ServiceStatus>>;
  /** Log lines that could not be written. */
  readonly lostLogLines: number;
}

/** More than there are faults. The query of a request has room for more. */
export const maxFaultKeys = 100;

/** What somebody asks to become of the faults of a service. Nothing in it has been checked. */
export interface FaultChange {
  readonly service: string;
  /** Values by path, such as `delay.time`, at most `maxFaultKeys`. Empty: no faults. */
  readonly faults: Readonly<Record<string, string>>;
  /** A duration, such as `5m`; null: until the next reload. */
  readonly forTime: string | null;
}

/** The faults that can happen now, or why nothing has changed. */
export type FaultResult = { readonly faults: Readonly<Record<string, unknown>> } | { readonly problem: string };

/** The data source of the admin endpoint, but for its page. */
export interface SnapshotSource {
  snapshot(): Promise<Snapshot>;
  /** Undefined if strangers could ask. */
  readonly changeFaults?: ((change: FaultChange) => Promise<FaultResult>) | undefined;
  /** The resolved config, in the format of a config file. */
  config(): Promise<unknown>;
}
