import { Deferred } from '../../deferred.ts';
import { addServiceCounters, countsOf, newServiceCounters, type ServiceCounters } from '../counters.ts';
import type { FaultRules } from '../faults/fault-rules.ts';
import { addCpuTimes, type CpuTime, cpuTimeOf, type ProcessHealth } from '../process-health.ts';
import { SmallservdError } from '../../errors.ts';
import type { ExitCode } from '../../exit-codes.ts';
import {
  type DaemonReport,
  mergeServiceOffenders,
  mergeSources,
  type RunningDaemon,
  type RunningListener,
} from '../running-daemon.ts';
import { formatBoundAddress } from '../transport/listener.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { SocketFiles } from '../transport/unix-socket.ts';
import { Generation, type GenerationHandlers, type GenerationOptions } from './generation.ts';
import { type ListenerChanges, listenerChanges } from './listener-changes.ts';
import { ListenerSockets, type OpenListener } from './listener-sockets.ts';
import { startPatienceMs } from './restart-policy.ts';
import { tickPeriodMs } from './silence.ts';
import { type Worker, WorkerProcess } from './worker-process.ts';

/** What the supervisor serves: a validated config, its listeners and the user its workers run as. */
export interface GenerationPlan extends Pick<GenerationOptions, 'config' | 'source' | 'identity'> {
  readonly plan: readonly PlannedListener[];
}

/** `startWorker`: by default workers are processes. */
export type SupervisorOptions = GenerationPlan &
  Pick<GenerationOptions, 'clock' | 'sink' | 'log'> &
  Partial<Pick<GenerationOptions, 'startWorker'>>;

/** Maximum number of earlier generations with clients left. Beyond it the oldest ends early. */
const maxDraining = 4;

/** Owns the sockets, runs a generation of workers, replaces it when the config changes, and writes the log. */
export class Supervisor implements RunningDaemon {
  readonly #ended = new Deferred<ExitCode>();
  readonly ready: Promise<void>;
  readonly ended: Promise<ExitCode> = this.#ended.promise;
  readonly #options: SupervisorOptions;
  readonly #handlers: GenerationHandlers;
  readonly #sockets: ListenerSockets;
  readonly #files: SocketFiles;
  /** Generations of earlier configs, or of one that failed, whose clients are finishing; oldest first. */
  readonly #draining = new Set<Generation>();
  /** Counters of workers that are gone, so that totals never fall. */
  #past: ReadonlyMap<string, ServiceCounters> = new Map();
  /** By slot, of workers that are gone. */
  readonly #pastCpu: CpuTime[] = [];
  #plan: readonly PlannedListener[];
  #generation: Generation;
  #workersSoFar = 0;
  #workerDeaths = 0;
  #stopping = false;

  private constructor(
    options: SupervisorOptions,
    sockets: ListenerSockets,
    files: SocketFiles,
    listeners: readonly OpenListener[],
  ) {
    this.#options = options;
    this.#plan = options.plan;
    this.#sockets = sockets;
    this.#files = files;
    this.#handlers = {
      datagramPorts: () => this.#datagramPorts,
      died: () => {
        this.#workerDeaths += 1;
      },
      counted: ({ counters, slot, health }) => {
        if (health !== undefined) addCpuTime(this.#pastCpu, slot, health);
        // The clients of a worker are gone with it.
        const gone = [...counters].map(([service, { stream, ...others }]): [string, ServiceCounters] => [
          service,
          { stream: { ...stream, active: 0 }, ...others },
        ]);
        this.#past = sumOf([new Map(gone), this.#past]);
      },
    };
    this.#generation = this.#newGeneration(options, listeners, false);
    this.ready = this.#generation.ready;
    void this.#follow(this.#generation);
  }

  /**
   * Opens the listeners and forks the workers. `ready` and `ended` report the outcome. Throws if one cannot open; the
   * process must then exit, which closes the others. Until it resolves, whoever ends the process must remove the files
   * of `sockets`.
   */
  static async launch(
    options: SupervisorOptions,
    sockets: ListenerSockets = new ListenerSockets(),
  ): Promise<Supervisor> {
    const { plan, config, identity, clock, log } = options;
    const files = new SocketFiles();
    await files.prepare(plan, identity?.uid);
    const listeners = await sockets.open(plan, { clock, log, isStopping: () => false }, config.services);
    try {
      files.grant(plan, sockets.files);
    } catch (error) {
      sockets.removeFiles();
      throw error;
    }
    return new Supervisor(options, sockets, files, listeners);
  }

  get listeners(): readonly RunningListener[] {
    return this.#generation.listeners.map(({ planned: { service }, bound }) => ({ service, ...bound }));
  }

  get skipped(): readonly PlannedListener[] {
    const open = new Set(this.#generation.listeners.map(({ planned }) => planned));
    return this.#plan.filter((planned) => !open.has(planned));
  }

  get report(): DaemonReport {
    return {
      state: this.#stopping ? 'draining' : this.#generation.isUp ? 'ready' : 'starting',
      workers: this.#generations.flatMap(({ workers }) => workers).filter(({ status }) => status !== 'stopped'),
      workerDeaths: this.#workerDeaths,
      workerCpu: this.#workerCpu,
      listeners: this.#generation.listeners.map(({ planned, bound }) => ({
        service: planned.service,
        address: formatBoundAddress(bound),
        isOpen: this.#generation.isOpen(planned),
      })),
      services: this.#counters,
      topSources: mergeSources(this.#live.map(({ topSources }) => topSources)),
      offenders: mergeServiceOffenders(this.#live.map(({ offenders }) => offenders)),
    };
  }

  /** By service name, summed over all workers, including those that are gone. */
  get #counters(): ReadonlyMap<string, ServiceCounters> {
    const configured = new Map(this.#generation.config.services.map(({ name }) => [name, newServiceCounters()]));
    return sumOf([configured, ...this.#live.map(({ counters }) => counters), this.#past]);
  }

  get #workerCpu(): readonly CpuTime[] {
    const times = [...this.#pastCpu];
    for (const { slot, health } of this.#live) if (health !== undefined) addCpuTime(times, slot, health);
    return times;
  }

  setFaults(service: string, rules: FaultRules | undefined): void {
    this.#generation.setFaults(service, rules);
  }

  /** Returns how a plan changes the listeners. */
  changes(plan: readonly PlannedListener[]): ListenerChanges {
    return listenerChanges(this.#plan, plan);
  }

  /**
   * Switches to another config, which makes these `changes`. A new generation starts next to the old one and takes over
   * once it is ready. Clients of the old one may finish, for at most the new config's `reload.grace`. Rejects, changing
   * nothing, if the new generation cannot serve, and with `RELOAD_CUT_SHORT` if the daemon is stopping, or if another
   * config waits for one that does not start. Either way, no other generation's workers hold the sockets any longer.
   */
  async reload(next: GenerationPlan, { added }: ListenerChanges, isSuperseded: () => boolean): Promise<void> {
    await this.#sockets.closed;
    await this.#files.prepare(added, next.identity?.uid);
    if (this.#stopping) throw cutShort();
    const old = this.#generation;
    const knownPorts = this.#datagramPorts.length;
    const { clock, log } = this.#options;
    const listeners = await this.#sockets
      .open(next.plan, { clock, log, isStopping: () => this.#stopping }, next.config.services)
      .catch((error: unknown) => {
        throw this.#stopping ? cutShort() : error;
      });
    // A stop has closed them, too.
    if (this.#stopping) throw cutShort();
    let generation: Generation | undefined;
    try {
      this.#files.grant(added, this.#sockets.files);
      generation = this.#newGeneration(next, listeners, true);
      this.#draining.add(generation);
      void this.#follow(generation);
      const ports = this.#datagramPorts;
      if (ports.length > knownPorts) for (const each of this.#generations) each.announcePorts(ports);
      await this.#untilStarted(generation, isSuperseded);
      if (this.#stopping) throw cutShort();
      // Listeners that the old config has, too, stay as they are until now.
      this.#files.grant(next.plan, this.#sockets.files);
    } catch (error) {
      generation?.stop(next.config.shutdown.graceMs);
      if (!this.#stopping) this.#restore(old);
      await generation?.suspended;
      throw error;
    }
    this.#draining.delete(generation);
    this.#draining.add(old);
    this.#generation = generation;
    this.#plan = next.plan;
    this.#sockets.keep(listeners);
    old.stop(next.config.reload.graceMs);
    this.#endOldest();
    await Promise.all([...this.#draining].map(({ suspended }) => suspended));
    generation.readDatagrams();
  }

  /**
   * Resolves when the generation is ready, or a stop has ended it. Rejects if it is superseded after a time in which
   * only starved workers are not ready. A module that pretends to be starved must not keep the config out that removes
   * it.
   */
  async #untilStarted({ ready, ended }: Generation, isSuperseded: () => boolean): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const superseded = new Deferred<never>();
    const cancel = clock.every(tickPeriodMs, () => {
      const isLate = clock.monotonicMs() - startedMs >= startPatienceMs;
      if (isLate && isSuperseded()) superseded.reject(cutShort('its workers do not start, and another reload waits'));
    });
    await Promise.race([ready, ended, superseded.promise]).finally(cancel);
  }

  /** Sockets in both configs may already have the access settings of the failed one. */
  #restore(generation: Generation): void {
    this.#sockets.keep(generation.listeners);
    try {
      this.#files.grant(this.#plan, this.#sockets.files);
    } catch {
      // The reload has already failed, with its own error.
    }
  }

  async stop(graceMs: number = this.#generation.config.shutdown.graceMs): Promise<ExitCode> {
    this.#stopping = true;
    for (const generation of this.#generations) generation.stop(graceMs);
    // From now on, nobody waits for a worker that does not come.
    this.#sockets.keep([]);
    return this.ended;
  }

  destroy(): void {
    this.#stopping = true;
    for (const generation of this.#generations) generation.destroy();
    this.#sockets.keep([]);
  }

  logState(): void {
    const { listeners, workers, services } = this.report;
    this.#options.log.info({ listeners, workers, counters: countsOf(services) }, 'state');
  }

  #newGeneration(next: GenerationPlan, listeners: readonly OpenListener[], isSuccessor: boolean): Generation {
    const firstWorker = this.#workersSoFar + 1;
    this.#workersSoFar += next.config.workers;
    const { startWorker = (...worker) => new WorkerProcess(...worker) } = this.#options;
    const options = { ...this.#options, ...next, startWorker, listeners, firstWorker, isSuccessor };
    return new Generation(options, this.#handlers);
  }

  /** The daemon ends when the serving generation does. */
  async #follow(generation: Generation): Promise<void> {
    const code = await generation.ended;
    this.#draining.delete(generation);
    if (generation !== this.#generation) return;
    this.#stopping = true;
    this.#sockets.removeFiles();
    const rest = [...this.#draining];
    // If it ended by itself, the others still get their grace period.
    for (const each of rest) each.stop(generation.config.shutdown.graceMs);
    await Promise.all([...rest.map(({ ended }) => ended), this.#sockets.closed]);
    this.#ended.resolve(code);
  }

  #endOldest(): void {
    for (const generation of [...this.#draining].slice(0, -maxDraining)) {
      this.#options.log.warn(
        { draining: maxDraining },
        'too many earlier configs still draining, closing clients of the oldest',
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
    const listeners = this.#generations.flatMap((generation) => [...generation.listeners]);
    return [...new Set(listeners.flatMap(({ bound }) => (bound.transport === 'udp' ? [bound.port] : [])))];
  }
}

/** A slot below may have no worker yet. */
function addCpuTime(times: CpuTime[], slot: number, health: ProcessHealth): void {
  while (times.length <= slot) times.push({ userMs: 0, systemMs: 0 });
  times[slot] = addCpuTimes(times[slot]!, cpuTimeOf(health));
}

/** By service name. Of custom counters beyond the limit the first are kept, so the latest must come first. */
function sumOf(each: readonly ReadonlyMap<string, ServiceCounters>[]): ReadonlyMap<string, ServiceCounters> {
  const totals = new Map<string, ServiceCounters>();
  for (const [service, counters] of each.flatMap((byService) => [...byService])) {
    const total = totals.get(service) ?? newServiceCounters();
    addServiceCounters(total, counters);
    totals.set(service, total);
  }
  return totals;
}

function cutShort(why = 'the daemon is stopping'): SmallservdError {
  return new SmallservdError('RELOAD_CUT_SHORT', why);
}
