import type { ExitCode } from './exit-codes.ts';
import type { BoundAddress } from './transport/listener.ts';
import type { PlannedListener } from './transport/plan.ts';

/** One open listener. */
export interface RunningListener extends BoundAddress {
  /** The name of the service's instance. */
  readonly service: string;
}

/** A daemon that is up, in one process or several. */
export interface RunningDaemon {
  readonly listeners: readonly RunningListener[];
  /** What is not open because the machine lacks the address family. */
  readonly skipped: readonly PlannedListener[];
  /** Resolves when all listeners are open; rejects, with nothing left running, where one cannot be. When a stop comes first, only `ended` is sure to settle. */
  readonly ready: Promise<void>;
  /** Resolves when the daemon has ended, however that came. */
  readonly ended: Promise<ExitCode>;
  /** Takes no new client, lets those it has finish up to `shutdown.grace`, ends the rest. */
  stop(): Promise<ExitCode>;
  /** Ends at once, clients and all. */
  destroy(): void;
  /** Writes listeners, clients and counters into the log. */
  logState(): void;
}
