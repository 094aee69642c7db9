import { Deferred } from '../../deferred.ts';
import { addServiceCounters, newServiceCounters, type ServiceCounters } from '../counters.ts';
import { SmallservdError } from '../../errors.ts';
import type { ExitCode } from '../../exit-codes.ts';
import { type DaemonReport, mergeSources, type RunningDaemon, type RunningListener } from '../running-daemon.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { SocketFiles } from '../transport/unix-socket.ts';
import { Generation, type GenerationHandlers, type GenerationOptions, type GenerationPlan } from './generation.ts';
import { ListenerTable } from './listener-table.ts';
import { type ListenerChanges, listenerChanges } from './listener-changes.ts';
import { type Worker, WorkerProcess } from './worker-process.ts';

/** `startWorker`: by default workers are processes. */
export type SupervisorOptions = GenerationPlan &
  Pick<GenerationOptions, 'clock' | 'sink' | 'log'> &
  Partial<Pick<GenerationOptions, 'startWorker'>>;

/** Maximum number of earlier generations with clients left. Beyond it the oldest ends early. */
const maxDraining = 4;

/** Holds the ports, runs a generation of workers, replaces it when the config changes, and writes the log. */
export class Supervisor implements RunningDaemon {
  readonly #ended = new Deferred<ExitCode>();
  readonly ready: Promise<void>;
  readonly ended: Promise<ExitCode> = this.#ended.promise;
  readonly #options: SupervisorOptions;
  readonly #handlers: GenerationHandlers;
  readonly #sockets: SocketFiles;
  /** Generations of earlier configs, or of one that failed, whose clients are finishing; oldest first. */
  readonly #draining = new Set<Generation>();
  /** Counters of workers that are gone, so that totals never fall. */
  readonly #past = new Map<string, ServiceCounters>();
  /** Released inherited descriptors: the primary may have closed them, and their numbers may be in use again. */
  readonly #droppedDescriptors = new Set<number>();
  #generation: Generation;
  #workersSoFar = 0;
  #workerDeaths = 0;
  #stopping = false;

  private constructor(options: SupervisorOptions, sockets: SocketFiles) {
    this.#options = options;
    this.#sockets = sockets;
    this.#handlers = {
      datagramPorts: () => this.#datagramPorts,
      portOpened: () => {
        for (const generation of this.#generations) generation.announcePorts(this.#datagramPorts);
      },
      died: () => {
        this.#workerDeaths += 1;
      },
      counted: (counters) => {
        // The clients of a worker are gone with it.
        for (const [service, { stream, datagram }] of counters)
          addTo(this.#past, service, { stream: { ...stream, active: 0 }, datagram });
      },
    };
    this.#generation = this.#newGeneration(options, new ListenerTable(options.plan), false);
    this.ready = this.#generation.ready;
    void this.#follow(this.#generation);
  }

  /** Forks the workers. `ready` and `ended` report the outcome. */
  static async launch(options: SupervisorOptions): Promise<Supervisor> {
    const sockets = new SocketFiles();
    await sockets.prepare(options.plan, options.identity?.uid);
    return new Supervisor(options, sockets);
  }

  get listeners(): readonly RunningListener[] {
    return this.#generation.table.running;
  }

  get skipped(): readonly PlannedListener[] {
    return this.#generation.table.skipped;
  }

  get report(): DaemonReport {
    return {
      state: this.#stopping ? 'draining' : this.#generation.isUp ? 'ready' : 'starting',
      workers: this.#generations.flatMap(({ workers }) => workers).filter(({ status }) => status !== 'stopped'),
      workerDeaths: this.#workerDeaths,
      listeners: this.#generation.table.states((planned) => this.#generation.isOpen(planned)),
      services: this.#counters,
      topSources: mergeSources(this.#live.map(({ topSources }) => topSources)),
    };
  }

  /** By service name, summed over all workers, including those that are gone. */
  get #counters(): ReadonlyMap<string, ServiceCounters> {
    const totals = new Map<string, ServiceCounters>();
    for (const { name } of this.#generation.config.services) totals.set(name, newServiceCounters());
    for (const counters of [this.#past, ...this.#live.map((worker) => worker.counters)])
      for (const [service, counts] of counters) addTo(totals, service, counts);
    return totals;
  }

  /** Returns how a plan changes the listeners. Throws `RELOAD_NEEDS_RESTART` if that cannot be done while serving. */
  changes(plan: readonly PlannedListener[]): ListenerChanges {
    return listenerChanges(this.#generation.table.plan, plan, this.#droppedDescriptors);
  }

  /**
   * Switches to another config, which makes these `changes`. A new generation starts next to the old one and takes over
   * once it is ready. Clients of the old one may finish, for at most the new config's `reload.grace`. Rejects, changing
   * nothing, if the new generation cannot serve, and with `RELOAD_CUT_SHORT` if the daemon is stopping.
   */
  async reload(next: GenerationPlan, { added, removed }: ListenerChanges): Promise<void> {
    await this.#sockets.prepare(added, next.identity?.uid);
    if (this.#stopping) throw cutShort();
    const old = this.#generation;
    const generation = this.#newGeneration(next, old.table.successor(next.plan), true);
    this.#draining.add(generation);
    void this.#follow(generation);
    try {
      // A stop in the meantime ends it before it is ready.
      await Promise.race([generation.ready, generation.ended]);
    } catch (error) {
      this.#noteDropped(added);
      this.#restoreSockets(old);
      throw error;
    }
    if (this.#stopping) throw cutShort();
    this.#draining.delete(generation);
    this.#draining.add(old);
    this.#generation = generation;
    this.#noteDropped(removed);
    old.stop(next.config.reload.graceMs);
    void old.suspended.then(() => generation.takeOver());
    this.#endOldest();
  }

  /** Sockets in both configs may already have the access settings of the failed one. */
  #restoreSockets(generation: Generation): void {
    try {
      this.#sockets.grant(generation.table.plan);
    } catch {
      // The reload has already failed, with its own error.
    }
  }

  async stop(graceMs: number = this.#generation.config.shutdown.graceMs): Promise<ExitCode> {
    this.#stopping = true;
    for (const generation of this.#generations) generation.stop(graceMs);
    return this.ended;
  }

  destroy(): void {
    this.#stopping = true;
    for (const generation of this.#generations) generation.destroy();
  }

  logState(): void {
    const { listeners, workers, services } = this.report;
    this.#options.log.info({ listeners, workers, services: Object.fromEntries(services) }, 'state');
  }

  #newGeneration(next: GenerationPlan, table: ListenerTable, isSuccessor: boolean): Generation {
    const firstWorker = this.#workersSoFar + 1;
    this.#workersSoFar += next.config.workers;
    const { startWorker = (...worker) => new WorkerProcess(...worker) } = this.#options;
    const sockets = this.#sockets;
    const options = { ...this.#options, ...next, startWorker, table, sockets, firstWorker, isSuccessor };
    return new Generation(options, this.#handlers);
  }

  /** The daemon ends when the serving generation does. */
  async #follow(generation: Generation): Promise<void> {
    const code = await generation.ended;
    this.#draining.delete(generation);
    if (generation !== this.#generation) return;
    this.#stopping = true;
    const rest = [...this.#draining];
    // If it ended by itself, the others still get their grace period.
    for (const each of rest) each.stop(generation.config.shutdown.graceMs);
    await Promise.all(rest.map(({ ended }) => ended));
    this.#ended.resolve(code);
  }

  #noteDropped(listeners: readonly PlannedListener[]): void {
    for (const { target } of listeners) if ('fd' in target) this.#droppedDescriptors.add(target.fd);
  }

  #endOldest(): void {
    for (const generation of [...this.#draining].slice(0, -maxDraining)) {
      this.#options.log.warn(
        { draining: maxDraining },
        'too many reloads in progress, closing clients of the oldest config',
      );
      generation.stop(0);
    }
  }

  /** The serving generation, and those that are draining. */
  get #generations(): readonly Generation[] {
    return [this.#generation, ...this.#draining];
  }

  get #live(): readonly Worker[] {
    return this.#generations.flatMap(({ live }) => [...live]);
  }

  get #datagramPorts(): readonly number[] {
    return [...new Set(this.#generations.flatMap(({ table }) => table.datagramPorts))];
  }
}

/** Adds to the totals of a service. */
function addTo(totals: Map<string, ServiceCounters>, service: string, counters: ServiceCounters): void {
  const total = totals.get(service) ?? newServiceCounters();
  addServiceCounters(total, counters);
  totals.set(service, total);
}

function cutShort(): SmallservdError {
  return new SmallservdError('RELOAD_CUT_SHORT', 'the daemon is stopping');
}
