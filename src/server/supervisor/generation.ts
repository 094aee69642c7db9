import { closeSync } from 'node:fs';
import type { Logger } from 'pino';
import { type Clock, pause } from '../../clock/clock.ts';
import { Deferred } from '../../deferred.ts';
import type { Config } from '../config/config.ts';
import type { ConfigSource } from '../config/load.ts';
import type { FaultRules } from '../faults/fault-rules.ts';
import { SmallservdError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { topSourcesCount } from '../lifecycle.ts';
import { LimitMemory } from '../limit-memory.ts';
import { linesPerSecond } from '../line-budget.ts';
import type { LogSink } from '../log.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { DatagramOwners } from './datagram-owners.ts';
import type { Identity } from './identity.ts';
import type { OpenListener } from './listener-sockets.ts';
import type { WorkerOrder } from './messages.ts';
import { reportLimitsFor, type WorkerReport, workerReports } from './reports.ts';
import {
  begin,
  decide,
  isAlive,
  isUp,
  overdue,
  type PolicyEffect,
  type PolicyEvent,
  type PolicyState,
  restMs,
} from './restart-policy.ts';
import type { WorkerState } from '../running-daemon.ts';
import { type Activity, tickPeriodMs } from './silence.ts';
import { firstSocketDescriptor, type Worker, type WorkerFactory } from './worker-process.ts';

export interface GenerationOptions {
  readonly config: Config;
  readonly source: ConfigSource;
  /** The user that its workers run as. */
  readonly identity: Identity | null;
  /** Workers inherit their sockets. */
  readonly listeners: readonly OpenListener[];
  /** Number of its first worker, as logged. */
  readonly firstWorker: number;
  /** True if an older generation is serving. A death before all workers are ready then ends this generation. */
  readonly isSuccessor: boolean;
  readonly startWorker: WorkerFactory;
  readonly clock: Clock;
  readonly sink: LogSink;
  readonly log: Logger;
}

/** Events that the supervisor receives from its generations. */
export interface GenerationHandlers {
  /** All UDP ports of the daemon. Datagrams from them must not be answered. */
  datagramPorts(): readonly number[];
  /** A worker died without being told to stop. */
  died(): void;
  /** A worker is gone: its counters and its CPU time are final. */
  counted(worker: Pick<Worker, 'counters' | 'slot' | 'health'>): void;
}

/** Sources of log lines in a worker in addition to its services, each counted as a service. */
const otherSources = 10;
/** Of each service, in each worker: two lines, and two summaries. */
const fewestLines = 4;

/** How long shutdown waits for the last lines of workers whose output is held open by one of their children. */
const lastLinesMs = 1000;

/** The workers of one config, kept alive. restart-policy.ts makes the decisions, which are carried out here. */
export class Generation {
  readonly #ready = new Deferred<void>();
  readonly #ended = new Deferred<ExitCode>();
  readonly #suspended = new Deferred<void>();
  /** Resolves when all workers that can serve do. Rejects, leaving nothing running, if none can. */
  readonly ready: Promise<void> = this.#ready.promise;
  readonly ended: Promise<ExitCode> = this.#ended.promise;
  /** Resolves when its workers have closed their copies of the sockets after `stop`. */
  readonly suspended: Promise<void> = this.#suspended.promise;
  readonly #options: GenerationOptions;
  readonly #handlers: GenerationHandlers;
  readonly #live = new Map<number, Worker>();
  /** By slot: how often a worker was started. */
  readonly #starts = new Map<number, number>();
  /** Workers whose output has not been read to the end. */
  readonly #unread = new Set<Promise<void>>();
  readonly #notSuspended = new Set<Worker>();
  readonly #reports: ReturnType<typeof workerReports>;
  /** Descriptor of the memory in which several workers count clients together. Closed at the end. */
  readonly #limitMemory: number | undefined;
  #state: PolicyState;
  readonly #owners: DatagramOwners;
  #up = false;
  /** Whether its workers read UDP sockets. Before that, an older generation may. */
  #readsDatagrams = false;
  #failure: SmallservdError | undefined;
  /** By service: those that replace the faults of the config. */
  readonly #faults = new Map<string, FaultRules | undefined>();
  #graceMs = 0;

  constructor(options: GenerationOptions, handlers: GenerationHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { config, clock, listeners } = options;
    this.#reports = workerReports(
      config.services.map(({ name }) => name),
      topSourcesCount,
    );
    this.#owners = new DatagramOwners(
      listeners.filter(isDatagram).map(({ planned }) => planned.id),
      config.workers,
    );
    if (config.workers > 1)
      this.#limitMemory = LimitMemory.create({ services: config.services.length, workers: config.workers });
    const [state, effects] = begin(config.workers, clock.monotonicMs());
    this.#state = state;
    this.#act(effects);
    const cancelTicks = clock.every(tickPeriodMs, () => this.#tick());
    void this.ended.then(cancelTicks);
    void this.ended.then(() => this.#freeLimitMemory());
  }

  get config(): Config {
    return this.#options.config;
  }

  get listeners(): readonly OpenListener[] {
    return this.#options.listeners;
  }

  get isUp(): boolean {
    return this.#up && !this.#state.stopping;
  }

  get workers(): readonly WorkerState[] {
    return this.#state.slots.map(({ status }, slot) => {
      const live = this.#live.get(slot);
      return {
        worker: this.#nameOf(slot),
        slot,
        status: this.#state.stopping && status !== 'stopped' ? 'draining' : status,
        pid: live?.pid,
        health: live?.health,
        restarts: Math.max(0, (this.#starts.get(slot) ?? 0) - 1),
      };
    });
  }

  /** Whether a worker serves the listener: any worker for a stream, the one that reads it for UDP. */
  isOpen({ id, target }: PlannedListener): boolean {
    if (this.#state.stopping) return false;
    if (target.transport !== 'udp') return this.#state.slots.some(({ status }) => status === 'ready');
    return this.#readsDatagrams && this.#state.slots[this.#owners.readerOf(id) ?? -1]?.status === 'ready';
  }

  /** Its live workers. */
  get live(): Iterable<Worker> {
    return this.#live.values();
  }

  /** Accepts no new clients, and gives existing ones at most `graceMs`. A second call can only shorten that. */
  stop(graceMs: number): void {
    if (this.#state.stopping) {
      for (const worker of this.#live.values()) worker.stop(graceMs);
      return;
    }
    this.#graceMs = graceMs;
    for (const worker of this.#live.values()) this.#notSuspended.add(worker);
    this.#dispatch({ type: 'stop', nowMs: this.#nowMs });
    this.#noteSuspended();
  }

  destroy(): void {
    this.stop(0);
    for (const worker of this.#live.values()) worker.kill();
  }

  /** Makes its workers read the UDP sockets. Nobody else may be reading them, or replies would get out of order. */
  readDatagrams(): void {
    this.#readsDatagrams = true;
    for (const worker of this.#live.values())
      if (this.#state.slots[worker.slot]?.status === 'ready')
        this.#orderReads(worker, this.#owners.socketsOf(worker.slot));
  }

  /**
   * Replaces the faults of a service, also in workers that start later. Undefined: none. Does nothing for a service
   * that its config lacks: whoever asks may still see the config before a reload.
   */
  setFaults(service: string, rules: FaultRules | undefined): void {
    if (!this.config.services.some(({ name }) => name === service)) return;
    this.#faults.set(service, rules);
    for (const worker of this.#live.values()) if (worker.hasStarted) this.#orderFaults(worker, service, rules);
  }

  #orderFaults(worker: Worker, service: string, rules: FaultRules | undefined): void {
    worker.order({ type: 'faults', service, rules: rules ?? null });
  }

  announcePorts(ports: readonly number[]): void {
    for (const worker of this.#live.values()) worker.order({ type: 'own-ports', ports });
  }

  #tick(): void {
    const activities = new Map<number, Activity>();
    for (const slot of overdue(this.#state)) {
      const activity = this.#live.get(slot)?.activity();
      if (activity !== undefined) activities.set(slot, activity);
    }
    this.#dispatch({ type: 'tick', nowMs: this.#nowMs, activities });
  }

  #dispatch(event: PolicyEvent): void {
    const [state, effects] = decide(this.#state, event);
    this.#state = state;
    this.#act(effects);
    this.#noteReady();
  }

  /** Up: at least one worker serves, and none is about to. */
  #noteReady(): void {
    if (this.#up || this.#state.stopping || !isUp(this.#state)) return;
    this.#up = true;
    this.#ready.resolve();
    this.#reassign();
    if (!this.#options.isSuccessor) this.readDatagrams();
  }

  #act(effects: readonly PolicyEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'fork':
          this.#fork(effect.slot);
          break;
        case 'kill':
          this.#options.log.error({ worker: this.#nameOf(effect.slot) }, 'worker unresponsive, killing it');
          this.#live.get(effect.slot)?.kill();
          break;
        case 'stop': {
          // A starting worker may hang in an import, or have its first clients.
          const isStarting = this.#state.slots[effect.slot]?.status === 'starting';
          this.#live.get(effect.slot)?.stop(this.#graceMs, isStarting);
          break;
        }
        case 'wait':
          this.#options.clock.after(effect.delayMs, () =>
            this.#dispatch({ type: 'due', slot: effect.slot, nowMs: this.#nowMs }),
          );
          break;
        case 'exit':
          void this.#end(effect.code);
          break;
      }
    }
  }

  #fork(slot: number): void {
    const { clock, sink, log } = this.#options;
    const worker: Worker = this.#options.startWorker(
      {
        slot,
        name: this.#nameOf(slot),
        descriptors: this.#inherited,
        reports: this.#reports,
        reportLimits: reportLimitsFor(this.config.services.length),
        linesPerSecond: paceOf(this.config),
        clock,
        sink,
        log,
      },
      {
        heard: (report) => this.#heard(worker, report),
        gone: (code, signal) => this.#gone(worker, code, signal),
      },
    );
    this.#live.set(slot, worker);
    this.#starts.set(slot, (this.#starts.get(slot) ?? 0) + 1);
    this.#unread.add(worker.read);
    void worker.read.then(() => this.#unread.delete(worker.read));
  }

  #heard(worker: Worker, report: WorkerReport): void {
    const { slot } = worker;
    switch (report.type) {
      case 'loaded':
        if (this.#state.stopping || worker.hasStarted) break;
        worker.order(this.#startOrder(slot));
        for (const [service, rules] of this.#faults) this.#orderFaults(worker, service, rules);
        break;
      case 'heartbeat':
        worker.counters = new Map(report.counters);
        worker.topSources = new Map(report.topSources);
        worker.offenders = new Map(report.offenders);
        worker.health = report.health;
        this.#options.sink.addLost(report.lostLines);
        this.#dispatch({ type: 'heard', slot, nowMs: this.#nowMs });
        break;
      case 'ready':
        this.#readied(worker);
        break;
      case 'suspended':
        worker.heardStop();
        this.#notSuspended.delete(worker);
        this.#noteSuspended();
        break;
      case 'failed': {
        if (worker.hasFailed) break;
        worker.hasFailed = true;
        const { code, message } = report;
        if (this.#up)
          this.#options.log.error({ worker: worker.name, code, error: message }, 'restarted worker cannot serve');
        else this.#fail(new SmallservdError(code, message));
        break;
      }
    }
  }

  #readied(worker: Worker): void {
    const { slot, name } = worker;
    const isBack = this.#up;
    if (isBack) this.#options.log.info({ worker: name }, 'worker ready again');
    this.#dispatch({ type: 'ready', slot, nowMs: this.#nowMs });
    if (isBack) this.#orderReads(worker, this.#owners.socketsOf(slot));
    this.#reassign();
  }

  #noteSuspended(): void {
    if (this.#state.stopping && this.#notSuspended.size === 0) this.#suspended.resolve();
  }

  #gone(worker: Worker, code: number | null, signal: string | null): void {
    const { slot, name, pid } = worker;
    const fields = { worker: name, pid, exitCode: code, signal };
    this.#live.delete(slot);
    this.#notSuspended.delete(worker);
    this.#handlers.counted(worker);
    if (!this.#state.stopping) {
      this.#options.log.error(fields, 'worker exited, restarting');
      this.#handlers.died();
      if (this.#options.isSuccessor && !this.#up) this.#fail(diedTooSoon(code, signal));
    } else if (this.#up && code !== exitCodes.stopped && !worker.wasKilled) {
      this.#options.log.error(fields, 'worker exited before its clients finished');
    }
    this.#dispatch({ type: 'died', slot, nowMs: this.#nowMs });
    if (this.#state.slots[slot]?.status === 'resting' && !this.#state.stopping)
      this.#options.log.error({ worker: name, delayMs: restMs }, 'worker keeps exiting, pausing restarts');
    this.#noteSuspended();
    this.#reassign();
  }

  /** What workers inherit: the sockets in the order of the listeners, then memory. */
  get #inherited(): readonly number[] {
    return [
      ...this.listeners.map(({ descriptor }) => descriptor),
      ...this.listeners.flatMap(({ flowMemory }) => flowMemory ?? []),
      ...(this.#limitMemory === undefined ? [] : [this.#limitMemory]),
    ];
  }

  #startOrder(slot: number): WorkerOrder {
    const { source, config, identity, listeners } = this.#options;
    const inherited = this.#inherited;
    const asWorkersSeeIt = (descriptor: number): number => firstSocketDescriptor + inherited.indexOf(descriptor);
    const limits = this.#limitMemory === undefined ? undefined : asWorkersSeeIt(this.#limitMemory);
    return {
      type: 'start',
      name: this.#nameOf(slot),
      source,
      listeners: listeners.map((listener) => inheritedBy(listener, asWorkersSeeIt)),
      ownPorts: this.#handlers.datagramPorts(),
      processes: config.workers,
      limits: limits === undefined ? undefined : { slot, descriptor: limits },
      identity,
    };
  }

  /** Makes a worker read those of the UDP sockets that it still owns. */
  #orderReads(worker: Worker, sockets: ReadonlySet<number>): void {
    if (!this.#readsDatagrams || this.#state.stopping || this.#live.get(worker.slot) !== worker) return;
    const owned = this.#owners.socketsOf(worker.slot);
    const ids = [...sockets].filter((socket) => owned.has(socket));
    if (ids.length > 0) worker.order({ type: 'read', ids });
  }

  /** Moves UDP sockets of a dead worker to ready workers at once. */
  #reassign(): void {
    if (!this.#up || this.#state.stopping) return;
    const { slots } = this.#state;
    // A starting slot keeps its own. It is told to open them when it is ready.
    const alive = new Set(slots.flatMap((slot, index) => (isAlive(slot) ? [index] : [])));
    const ready = slots.flatMap(({ status }, index) => (status === 'ready' ? [index] : []));
    for (const [slot, gained] of this.#owners.reassign(alive, ready)) {
      const worker = this.#live.get(slot);
      if (worker !== undefined) this.#orderReads(worker, gained);
    }
  }

  #freeLimitMemory(): void {
    if (this.#limitMemory !== undefined) closeSync(this.#limitMemory);
  }

  /** Ends everything that runs, then rejects `ready`, so that nothing is left behind. */
  #fail(error: SmallservdError): void {
    if (this.#state.stopping) return;
    this.#failure = error;
    if (this.#options.isSuccessor) {
      // Some may already serve clients, which finish.
      this.#ready.reject(error);
      this.stop(this.config.shutdown.graceMs);
      return;
    }
    this.#state = { ...this.#state, stopping: true };
    for (const worker of this.#live.values()) worker.kill();
  }

  async #end(code: ExitCode): Promise<void> {
    this.#state = { ...this.#state, stopping: true };
    for (const worker of this.#live.values()) worker.kill();
    await Promise.race([Promise.all(this.#unread), pause(this.#options.clock, lastLinesMs)]);
    if (code === exitCodes.workersKeepDying && this.#failure === undefined) {
      this.#failure = new SmallservdError('WORKERS_KEEP_DYING', 'workers keep exiting, giving up: see the log');
      this.#options.log.error({}, 'workers keep exiting, giving up');
    }
    if (this.#failure !== undefined) this.#ready.reject(this.#failure);
    this.#suspended.resolve();
    this.#ended.resolve(this.#failure?.exitCode ?? code);
  }

  #nameOf(slot: number): number {
    return this.#options.firstWorker + slot;
  }

  get #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

function isDatagram({ planned }: OpenListener): boolean {
  return planned.target.transport === 'udp';
}

/** A listener for a worker, by the descriptors that it inherits. */
function inheritedBy(
  { planned, descriptor, bound, flowMemory }: OpenListener,
  asWorkersSeeIt: (descriptor: number) => number,
): PlannedListener {
  const fd = asWorkersSeeIt(descriptor);
  const { transport } = planned.target;
  if (transport !== 'udp') return { ...planned, target: { transport, fd, bound } };
  const memory = flowMemory === undefined ? undefined : asWorkersSeeIt(flowMemory);
  return { ...planned, target: { transport, family: planned.target.family, fd, bound, flowMemory: memory } };
}

function diedTooSoon(code: number | null, signal: string | null): SmallservdError {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  return new SmallservdError('WORKER_FAILED', `a worker with the new config exited before it was ready (${how})`);
}

/** How many lines a worker may write. Together they may write what one could, but each its summaries at once. */
function paceOf({ services, workers }: Config): number {
  const all = (services.length + otherSources) * linesPerSecond;
  return Math.max(Math.ceil(all / workers), fewestLines * services.length + otherSources);
}
