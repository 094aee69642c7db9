import type { ConfigSource } from '../config/load.ts';
import type { ServiceCounters } from '../counters.ts';
import type { ErrorCode } from '../errors.ts';
import type { SourceCount } from '../guard/admission.ts';
import type { ProcessHealth } from '../process-health.ts';
import type { BoundAddress } from '../transport/listener.ts';
import type { PlannedListener } from '../transport/plan.ts';
import type { Identity } from './identity.ts';

/** Where a listener of the plan is bound in a worker; null: its family is missing here. */
export interface Opened {
  readonly id: number;
  readonly bound: BoundAddress | null;
}

/** Orders to a worker. */
export type WorkerOrder =
  | {
      readonly type: 'start';
      /** Its number in the log. */
      readonly name: number;
      readonly source: ConfigSource;
      readonly listeners: readonly PlannedListener[];
      readonly ownPorts: readonly number[];
      readonly processes: number;
      /** Whom to become before a listener is opened; null: stay who we are. */
      readonly identity: Identity | null;
    }
  | { readonly type: 'open'; readonly listeners: readonly PlannedListener[] }
  | { readonly type: 'own-ports'; readonly ports: readonly number[] }
  | { readonly type: 'stop'; readonly graceMs: number };

/** What a worker tells its supervisor. */
export type WorkerReport =
  /** The code is loaded: `start` may come. */
  | { readonly type: 'loaded' }
  /** Told to stop, it has closed its listeners; its clients finish. */
  | { readonly type: 'suspended' }
  | { readonly type: 'ready' | 'opened'; readonly opened: readonly Opened[] }
  /** It goes on with what it has. */
  | {
      readonly type: 'not-opened';
      readonly services: readonly string[];
      readonly code: ErrorCode;
      readonly message: string;
    }
  | {
      readonly type: 'heartbeat';
      readonly counters: ReadonlyMap<string, ServiceCounters>;
      readonly topSources: ReadonlyMap<string, readonly SourceCount[]>;
      readonly health: ProcessHealth;
      /** Log lines that the worker could not hand over since the last heartbeat. */
      readonly lostLines: number;
    }
  /** It ends right after. */
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

/** How often a worker sends a heartbeat. */
export const heartbeatPeriodMs = 1000;
