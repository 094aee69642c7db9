import type { Logger } from 'pino';
import type { Clock } from '../../clock/clock.ts';
import type { Config } from '../config/config.ts';
import type { ConfigSource } from '../config/load.ts';
import { addServiceCounters, newServiceCounters, type ServiceCounters } from '../counters.ts';
import { SmallservdError } from '../../errors.ts';
import type { ExitCode } from '../../exit-codes.ts';
import type { LogSink } from '../log.ts';
import { type DaemonReport, mergeSources, type RunningDaemon, type RunningListener } from '../running-daemon.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { SocketFiles } from '../transport/unix-socket.ts';
import { Crew, type CrewHandlers } from './generation.ts';
import type { Identity } from './identity.ts';
import { ListenerTable } from './listener-table.ts';
import { type ListenerChanges, listenerChanges } from './listener-changes.ts';

/** What a crew is made of: a config, checked, with its listeners and the user it serves as. */
export interface CrewPlan {
  readonly config: Config;
  readonly source: ConfigSource;
  readonly plan: readonly PlannedListener[];
  readonly identity: Identity | null;
}

export interface SupervisorOptions extends CrewPlan {
  readonly clock: Clock;
  readonly sink: LogSink;
  readonly log: Logger;
}

/** So many crews of earlier configs may have clients left; of more the oldest ends early. */
const maxDraining = 4;

/** Holds the ports, has a crew of workers serve, replaces it when the config changes, and writes the log. */
export class Supervisor implements RunningDaemon {
  readonly ready: Promise<void>;
  readonly ended: Promise<ExitCode>;
  readonly #options: SupervisorOptions;
  readonly #handlers: CrewHandlers;
  readonly #sockets: SocketFiles;
  /** Crews of earlier configs, and of one that failed, whose clients finish; the oldest first. */
  readonly #draining = new Set<Crew>();
  /** Counters of workers that are gone: totals never fall. */
  readonly #past = new Map<string, ServiceCounters>();
  /**
   * Inherited descriptors that some crew has let go: the primary may have closed them, and their numbers are used
   * again.
   */
  readonly #droppedDescriptors = new Set<number>();
  #crew: Crew;
  #workersSoFar = 0;
  #workerDeaths = 0;
  #stopping = false;
  #resolveEnded: (code: ExitCode) => void = () => {};

  private constructor(options: SupervisorOptions, sockets: SocketFiles) {
    this.#options = options;
    this.#sockets = sockets;
    this.#handlers = {
      datagramPorts: () => this.#datagramPorts,
      portOpened: () => {
        for (const crew of this.#crews) crew.announcePorts(this.#datagramPorts);
      },
      died: () => {
        this.#workerDeaths += 1;
      },
      counted: (counters) => {
        for (const [service, counts] of counters) addServiceCounters(this.#pastOf(service), withoutActive(counts));
      },
    };
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#crew = this.#newCrew(options, new ListenerTable(options.plan), false);
    this.ready = this.#crew.ready;
    void this.#follow(this.#crew);
  }

  /** Forks the workers; what comes of them, `ready` and `ended` tell. */
  static async launch(options: SupervisorOptions): Promise<Supervisor> {
    const sockets = new SocketFiles();
    await sockets.prepare(options.plan, options.identity?.uid);
    return new Supervisor(options, sockets);
  }

  get listeners(): readonly RunningListener[] {
    return this.#crew.table.running;
  }

  get skipped(): readonly PlannedListener[] {
    return this.#crew.table.skipped;
  }

  get report(): DaemonReport {
    return {
      state: this.#stopping ? 'draining' : this.#crew.isUp ? 'ready' : 'starting',
      workers: this.#crews.flatMap(({ workers }) => workers).filter(({ status }) => status !== 'stopped'),
      workerDeaths: this.#workerDeaths,
      listeners: this.#crew.table.states((planned) => this.#crew.isOpen(planned)),
      services: this.#counters,
      topSources: mergeSources([...this.#crews].flatMap(({ live }) => [...live].map(({ topSources }) => topSources))),
    };
  }

  /** By the name of the service: of all workers, those that are gone included. */
  get #counters(): ReadonlyMap<string, ServiceCounters> {
    const totals = new Map<string, ServiceCounters>();
    const add = (service: string, counters: ServiceCounters): void => {
      const total = totals.get(service) ?? newServiceCounters();
      addServiceCounters(total, counters);
      totals.set(service, total);
    };
    for (const { name } of this.#crew.config.services) add(name, newServiceCounters());
    for (const [service, counters] of this.#past) add(service, counters);
    for (const { live } of this.#crews) {
      for (const { counters } of live) for (const [service, counts] of counters) add(service, counts);
    }
    return totals;
  }

  /**
   * What another config would change in the listeners. Throws `RELOAD_NEEDS_RESTART` where that cannot be done while
   * clients are served.
   */
  changes(plan: readonly PlannedListener[]): ListenerChanges {
    return listenerChanges(this.#crew.table.plan, plan, this.#droppedDescriptors);
  }

  /**
   * Serves by another config from now on: a new crew starts beside the old one and takes over once it is ready; the old
   * one's clients finish, for at most the new config's `reload.grace`. Rejects, and changes nothing, where the new crew
   * cannot serve; with `RELOAD_CUT_SHORT` where the daemon is stopping.
   */
  async reload(next: CrewPlan): Promise<void> {
    const { added, removed } = this.changes(next.plan);
    await this.#sockets.prepare(added, next.identity?.uid);
    if (this.#stopping) throw cutShort();
    const old = this.#crew;
    const crew = this.#newCrew(next, old.table.successor(next.plan), true);
    this.#draining.add(crew);
    void this.#follow(crew);
    try {
      // A stop that comes meanwhile ends it before it is ready.
      await Promise.race([crew.ready, crew.ended]);
    } catch (error) {
      this.#noteDropped(added);
      this.#restoreSockets(old);
      throw error;
    }
    if (this.#stopping) throw cutShort();
    this.#draining.delete(crew);
    this.#draining.add(old);
    this.#crew = crew;
    this.#noteDropped(removed);
    old.stop(next.config.reload.graceMs);
    void old.suspended.then(() => crew.takeOver());
    this.#endOldest();
  }

  /** Those that both have may have got what the config that failed says. */
  #restoreSockets(crew: Crew): void {
    try {
      this.#sockets.grant(crew.table.plan);
    } catch {
      // The reload has failed, and says why.
    }
  }

  async stop(graceMs: number = this.#crew.config.shutdown.graceMs): Promise<ExitCode> {
    this.#stopping = true;
    for (const crew of this.#crews) crew.stop(graceMs);
    return this.ended;
  }

  destroy(): void {
    this.#stopping = true;
    for (const crew of this.#crews) crew.destroy();
  }

  logState(): void {
    const { listeners, workers, services } = this.report;
    this.#options.log.info({ listeners, workers, services: Object.fromEntries(services) }, 'state');
  }

  #newCrew(next: CrewPlan, table: ListenerTable, isSuccessor: boolean): Crew {
    const { clock, sink, log } = this.#options;
    const firstWorker = this.#workersSoFar + 1;
    this.#workersSoFar += next.config.workers;
    const sockets = this.#sockets;
    return new Crew({ ...next, table, sockets, firstWorker, isSuccessor, clock, sink, log }, this.#handlers);
  }

  /** The daemon ends when the crew that serves does. */
  async #follow(crew: Crew): Promise<void> {
    const code = await crew.ended;
    this.#draining.delete(crew);
    if (crew !== this.#crew) return;
    this.#stopping = true;
    const rest = [...this.#draining];
    // What ended without being asked to leaves the others their time.
    for (const each of rest) each.stop(crew.config.shutdown.graceMs);
    await Promise.all(rest.map(({ ended }) => ended));
    this.#resolveEnded(code);
  }

  #noteDropped(listeners: readonly PlannedListener[]): void {
    for (const { target } of listeners) if ('fd' in target) this.#droppedDescriptors.add(target.fd);
  }

  #endOldest(): void {
    for (const crew of [...this.#draining].slice(0, -maxDraining)) {
      this.#options.log.warn(
        { draining: maxDraining },
        'too many reloads at once: clients of the oldest config are ended',
      );
      crew.stop(0);
    }
  }

  /** The crew that serves, and those that drain. */
  get #crews(): readonly Crew[] {
    return [this.#crew, ...this.#draining];
  }

  get #datagramPorts(): readonly number[] {
    return [...new Set(this.#crews.flatMap(({ table }) => table.datagramPorts))];
  }

  #pastOf(service: string): ServiceCounters {
    const past = this.#past.get(service) ?? newServiceCounters();
    this.#past.set(service, past);
    return past;
  }
}

function cutShort(): SmallservdError {
  return new SmallservdError('RELOAD_CUT_SHORT', 'the daemon is stopping');
}

/** The clients of a worker that has gone are gone with it. */
function withoutActive({ stream, datagram }: ServiceCounters): ServiceCounters {
  return { stream: { ...stream, active: 0 }, datagram };
}
