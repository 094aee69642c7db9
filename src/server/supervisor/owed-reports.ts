import type { WorkerOrder } from './messages.ts';
import type { WorkerReport } from './reports.ts';

/**
 * The reports that a worker owes its supervisor: one for loading its code, and one for each order that asks for one. A
 * heartbeat or an explanation of failure may come at any time.
 */
export class OwedReports {
  readonly #owed = { loaded: 1, ready: 0, suspended: 0 };

  ordered({ type }: WorkerOrder): void {
    if (type === 'start') this.#owed.ready += 1;
    else if (type === 'stop') this.#owed.suspended += 1;
  }

  /** Counts off a report. Returns what is wrong with one that is not owed. */
  take(type: WorkerReport['type']): string | undefined {
    if (type === 'heartbeat' || type === 'failed') return undefined;
    if (this.#owed[type] === 0) return `type: unexpected "${type}", which was not requested`;
    this.#owed[type] -= 1;
    return undefined;
  }
}
