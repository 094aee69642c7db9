import type { ConfigSource } from '../config/load.ts';
import type { FaultRules } from '../faults/fault-rules.ts';
import type { PlannedListener } from '../transport/plan.ts';
import type { Identity } from './identity.ts';

/** Orders to a worker. */
export type WorkerOrder =
  | {
      readonly type: 'start';
      /** Its number, as logged. */
      readonly name: number;
      readonly source: ConfigSource;
      /** All listeners, by inherited descriptors. UDP sockets are not to be read yet. */
      readonly listeners: readonly PlannedListener[];
      readonly ownPorts: readonly number[];
      /** The number of workers. */
      readonly processes: number;
      /** The worker's slot, and its descriptor of the memory for the limits; undefined if there is only one worker. */
      readonly limits: { readonly slot: number; readonly descriptor: number } | undefined;
      /** Identity to take on before opening listeners; null to keep the current one. */
      readonly identity: Identity | null;
    }
  /** Read these UDP sockets, named by the ids of their listeners. */
  | { readonly type: 'read'; readonly ids: readonly number[] }
  /** Replaces the faults of a service; null: none. */
  | { readonly type: 'faults'; readonly service: string; readonly rules: FaultRules | null }
  | { readonly type: 'own-ports'; readonly ports: readonly number[] }
  | { readonly type: 'stop'; readonly graceMs: number };

/** How often a worker sends a heartbeat. */
export const heartbeatPeriodMs = 1000;
