import type { ServiceCounters } from '../counters.ts';
import type { SourceCount } from '../guard/admission.ts';
import type { ListenerState, WorkerState } from '../running-daemon.ts';

/** What the endpoint calls itself in the header Server: other programs answer HTTP, too. */
export const endpointName = 'smallservd';

/** How the last attempt to reload went. */
export interface ReloadResult {
  readonly succeeded: boolean;
  /** ISO 8601. */
  readonly at: string;
  readonly tookMs: number;
  /** What was wrong, a line each. */
  readonly errors: readonly string[];
}

export interface ServiceStatus extends ServiceCounters {
  readonly type: string;
  readonly topSources: readonly SourceCount[];
}

/** The daemon at one moment: what /status prints, and what the metrics are made of. JSON throughout. */
export interface Snapshot {
  readonly version: string;
  /** Node's. */
  readonly node: string;
  /** The supervisor's. */
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly state: 'starting' | 'ready' | 'draining';
  /** Why /readyz says no; empty while it says yes. */
  readonly notReady: readonly string[];
  readonly config: {
    readonly name: string;
    /** Of what the config means: the same for two files that mean the same. */
    readonly hash: string;
  };
  readonly reload: {
    readonly attempts: number;
    readonly failures: number;
    readonly isRunning: boolean;
    /** ISO 8601; null: the config of the start is in use. */
    readonly lastSuccessAt: string | null;
    readonly last: ReloadResult | null;
  };
  readonly supervisor: { readonly lagMs: number; readonly residentBytes: number; readonly heapBytes: number };
  readonly workers: readonly WorkerState[];
  readonly workerDeaths: number;
  readonly listeners: readonly ListenerState[];
  /** By the name of the instance. */
  readonly services: Readonly<Record<string, ServiceStatus>>;
  /** Lines of the log that could not be written. */
  readonly lostLogLines: number;
}

/** Where the admin endpoint gets what it serves. */
export interface SnapshotSource {
  snapshot(): Promise<Snapshot>;
  /** The resolved config, in the shape of a config file. */
  config(): Promise<unknown>;
}
