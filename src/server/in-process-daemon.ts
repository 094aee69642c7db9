import { Deferred } from '../deferred.ts';
import { SmallservdError } from '../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { countsOf, type ServiceCounters } from './counters.ts';
import type { FaultRules } from './faults/fault-rules.ts';
import { Lifecycle, type LifecycleOptions, type OpenedListener } from './lifecycle.ts';
import { HealthMeter } from './process-health.ts';
import type { DaemonReport, RunningDaemon, RunningListener } from './running-daemon.ts';
import { formatBoundAddress } from './transport/listener.ts';
import { datagramPortsOf, type PlannedListener } from './transport/plan.ts';
import { SocketFiles } from './transport/unix-socket.ts';

export interface InProcessOptions extends Omit<LifecycleOptions, 'limitMemory'> {
  readonly plan: readonly PlannedListener[];
}

/** The daemon in one process, without a supervisor: for `workers: 0` and for embedding. */
export class InProcessDaemon implements RunningDaemon {
  readonly #ended = new Deferred<ExitCode>();
  readonly ready: Promise<void>;
  readonly ended: Promise<ExitCode> = this.#ended.promise;
  readonly #options: InProcessOptions;
  readonly #lifecycle: Lifecycle;
  readonly #health: HealthMeter;
  #opened: readonly OpenedListener[] = [];
  #stopping: Promise<ExitCode> | undefined;

  constructor(options: InProcessOptions) {
    this.#options = options;
    this.#health = new HealthMeter(options.clock);
    this.#lifecycle = new Lifecycle(options);
    this.ready = this.#open();
    // If `ready` rejects, `ended` resolves too, so that waiting for either suffices.
    this.ready.catch((error: unknown) =>
      this.#ended.resolve(error instanceof SmallservdError ? error.exitCode : exitCodes.failed),
    );
  }

  get listeners(): readonly RunningListener[] {
    return this.#opened.flatMap(({ planned, bound }) =>
      bound === undefined ? [] : [{ service: planned.service, ...bound }],
    );
  }

  get skipped(): readonly PlannedListener[] {
    return this.#opened.flatMap(({ planned, bound }) => (bound === undefined ? [planned] : []));
  }

  /** By instance name. */
  get counters(): ReadonlyMap<string, ServiceCounters> {
    return this.#lifecycle.counters;
  }

  get report(): DaemonReport {
    const isReady = this.#opened.length > 0 && this.#stopping === undefined;
    const state = this.#stopping !== undefined ? 'draining' : isReady ? 'ready' : 'starting';
    return {
      state,
      workers: [{ worker: 0, status: state, pid: process.pid, health: this.#health.take(), restarts: 0 }],
      workerDeaths: 0,
      workerCpu: [],
      listeners: this.listeners.map((each) => ({
        service: each.service,
        address: formatBoundAddress(each),
        isOpen: isReady,
      })),
      services: this.counters,
      topSources: this.#lifecycle.topSources,
      offenders: this.#lifecycle.offenders,
    };
  }

  async stop(graceMs: number = this.#options.config.shutdown.graceMs): Promise<ExitCode> {
    this.#stopping ??= this.#drain(graceMs);
    return this.#stopping;
  }

  destroy(): void {
    void this.stop(0);
    this.#lifecycle.destroy();
  }

  setFaults(service: string, rules: FaultRules | undefined): void {
    this.#lifecycle.setFaults(service, rules);
  }

  logState(): void {
    const { listeners, workers, services } = this.report;
    this.#options.log.info({ listeners, workers, counters: countsOf(services) }, 'state');
  }

  async #open(): Promise<void> {
    const { plan } = this.#options;
    try {
      const sockets = new SocketFiles();
      await sockets.prepare(plan);
      this.#lifecycle.addOwnPorts(datagramPortsOf(plan));
      const opened = await this.#lifecycle.open(plan);
      sockets.grant(plan);
      this.#opened = opened;
    } catch (error) {
      if (this.#stopping === undefined) {
        this.#stopping = this.ended;
        await this.#lifecycle.drain(0);
      } else {
        await this.#stopping;
      }
      throw error;
    }
  }

  async #drain(graceMs: number): Promise<ExitCode> {
    await this.#lifecycle.drain(graceMs);
    this.#ended.resolve(exitCodes.stopped);
    return exitCodes.stopped;
  }
}
