import type { FaultChange, FaultResult } from '../admin/snapshot.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { Config } from '../config/config.ts';
import { readFaults } from '../config/faults.ts';
import { ConfigInvalidError } from '../../errors.ts';
import { activeFaults, type FaultRules } from '../faults/fault-rules.ts';
import type { RunningDaemon } from '../running-daemon.ts';
import type { Log } from '../../service.ts';
import { parseDuration } from '../../units.ts';
import { LineBudget } from '../line-budget.ts';

/** Far more than a person causes. The other lines are counted. */
const linesPerSecond = 10;
const summaryMs = 1000;

/** The daemon's timers cannot wait longer. */
const longestMs = 24 * 86_400_000;

interface FaultControlOptions {
  /** Undefined until it is launched. */
  readonly daemon: () => Pick<RunningDaemon, 'setFaults'> | undefined;
  readonly config: () => Config;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes the faults of a running daemon, and ends them when their time is over. */
export class FaultControl {
  readonly #options: FaultControlOptions;
  /** By service. */
  readonly #ends = new Map<string, Cancel>();
  /** By service: what was requested in place of its config's. */
  readonly #requested = new Map<string, FaultRules | undefined>();

  readonly #lines = new LineBudget(linesPerSecond);
  #isSummaryDue = false;

  constructor(options: FaultControlOptions) {
    this.#options = options;
  }

  /** Whoever asks is allowed to, but may be mistaken. */
  change({ service, faults, forTime }: FaultChange): FaultResult {
    const problem = this.#problemOf(service);
    if (problem !== undefined) return { problem };
    const forMs = forTime === null ? null : (parseDuration(forTime) ?? 0);
    if (forMs !== null && (forMs < 1 || forMs > longestMs))
      return {
        problem: `--for: ${JSON.stringify(forTime)} is not a duration with a unit, such as 30s or 5m (1ms to 24d)`,
      };
    try {
      return this.replace(service, readFaults(faults), forMs);
    } catch (error) {
      if (!(error instanceof ConfigInvalidError)) throw error;
      return { problem: error.message.replaceAll('\n', '; ') };
    }
  }

  /** Replaces the faults of a service, if it is in the running config. Null: for no limited time. */
  replace(service: string, rules: FaultRules | undefined, forMs: number | null): FaultResult {
    const { clock, log } = this.#options;
    const problem = this.#problemOf(service);
    if (problem !== undefined) return { problem };
    this.#forget(service);
    this.#options.daemon()?.setFaults(service, rules);
    this.#requested.set(service, rules);
    const active = rules === undefined ? {} : activeFaults(rules);
    if (this.#mayLog()) log.warn({ service, seed: rules?.seed, faults: active, forMs }, 'faults changed on request');
    if (forMs !== null)
      this.#ends.set(
        service,
        clock.after(forMs, () => {
          if (this.#mayLog()) log.info({ service }, 'requested faults expired, config applies again');
          this.#end(service);
        }),
      );
    return { faults: active };
  }

  /** The rules that a service follows now. Undefined: none. */
  rulesOf({ name, faults }: Pick<Config['services'][number], 'name' | 'faults'>): FaultRules | undefined {
    return this.#requested.has(name) ? this.#requested.get(name) : faults;
  }

  /** A reload has succeeded. Faults requested for a time end with it, even if they came while it was in progress. */
  reloaded(): void {
    for (const service of this.#ends.keys()) this.#end(service);
    this.#requested.clear();
  }

  /** Whether there have not been too many lines about changes. Those beyond are counted, and their number logged. */
  #mayLog(): boolean {
    const { clock, log } = this.#options;
    if (this.#lines.take(clock.monotonicMs())) return true;
    if (this.#isSummaryDue) return false;
    this.#isSummaryDue = true;
    clock.after(summaryMs, () => {
      this.#isSummaryDue = false;
      log.warn({ linesNotLogged: this.#lines.takeLeftOut() }, 'log lines suppressed');
    });
    return false;
  }

  /** Back to what the config says, which may no longer have the service. */
  #end(service: string): void {
    this.#forget(service);
    this.#requested.delete(service);
    const configured = this.#configured(service);
    if (configured !== undefined) this.#options.daemon()?.setFaults(service, configured.faults);
  }

  #forget(service: string): void {
    this.#ends.get(service)?.();
    this.#ends.delete(service);
  }

  #problemOf(service: string): string | undefined {
    if (this.#options.daemon() === undefined) return 'the daemon is starting';
    return this.#configured(service) === undefined ? `the running config has no service ${service}` : undefined;
  }

  #configured(service: string): Config['services'][number] | undefined {
    return this.#options.config().services.find(({ name }) => name === service);
  }
}
