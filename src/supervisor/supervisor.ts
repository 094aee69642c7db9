import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import type { Config } from '../config/config.ts';
import type { ConfigSource } from '../config/load.ts';
import { addServiceCounters, newServiceCounters, type ServiceCounters } from '../counters.ts';
import { SmallservdError } from '../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import type { LogSink } from '../log.ts';
import type { RunningDaemon, RunningListener } from '../running-daemon.ts';
import { LineBudget } from '../line-budget.ts';
import { formatBoundAddress } from '../transport/listener.ts';
import { unservedError } from '../transport/open-error.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { removeDeadSockets } from '../transport/unix-socket.ts';
import { type DatagramOwners, dealOut, reassign } from './datagram-owners.ts';
import type { Identity } from './identity.ts';
import { Lines } from './lines.ts';
import { ListenerTable } from './listener-table.ts';
import type { Opened, WorkerOrder, WorkerReport } from './messages.ts';
import {
  begin,
  decide,
  isAlive,
  type PolicyEffect,
  type PolicyEvent,
  type PolicyState,
  tickPeriodMs,
} from './restart-policy.ts';

export interface SupervisorOptions {
  readonly config: Config;
  readonly source: ConfigSource;
  readonly plan: readonly PlannedListener[];
  readonly identity: Identity | null;
  readonly clock: Clock;
  readonly sink: LogSink;
  readonly log: Logger;
}

/** How soon a UDP socket that could not be opened is tried again. */
const reopenMs = 5000;

/** How much longer than the grace period a worker may take to end before it is killed. */
const stopSlackMs = 2000;

/** How long the end waits for the last lines of workers whose output somebody else, a child of theirs, holds open. */
const lastLinesMs = 1000;

interface Live {
  readonly slot: number;
  readonly worker: Worker;
  /** It was told what to open: it may hold listeners. */
  ordered: boolean;
  counters: ReadonlyMap<string, ServiceCounters>;
}

/** Holds the ports, keeps the workers alive and writes the log. What to do is decided in restart-policy.ts; here it is done. */
export class Supervisor implements RunningDaemon {
  readonly ready: Promise<void>;
  readonly ended: Promise<ExitCode>;
  readonly #options: SupervisorOptions;
  readonly #live = new Map<number, Live>();
  readonly #table: ListenerTable;
  /** Counters of workers that are gone: totals never fall. */
  readonly #past = new Map<string, ServiceCounters>();
  /** Workers whose output has not been read to its end: they may have died, their last lines not. */
  readonly #unread = new Set<Promise<void>>();
  /** Services whose UDP sockets could not be opened when their worker had died. */
  readonly #missing = new Set<string>();
  #state: PolicyState;
  #owners: DatagramOwners;
  #up = false;
  #failure: SmallservdError | undefined;
  #resolveReady: () => void = () => {};
  #rejectReady: (error: SmallservdError) => void = () => {};
  #resolveEnded: (code: ExitCode) => void = () => {};

  private constructor(options: SupervisorOptions) {
    this.#options = options;
    const { config, plan, clock } = options;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#table = new ListenerTable(plan);
    this.#owners = dealOut(this.#table.datagramServices, config.workers);
    const [state, effects] = begin(config.workers, clock.monotonicMs(), this.#table.hasInheritedStreams);
    this.#state = state;
    this.#launch(effects);
  }

  /** Forks the workers; what comes of them, `ready` and `ended` tell. */
  static async launch(options: SupervisorOptions): Promise<Supervisor> {
    await removeDeadSockets(options.plan);
    return new Supervisor(options);
  }

  get listeners(): readonly RunningListener[] {
    return this.#table.running;
  }

  get skipped(): readonly PlannedListener[] {
    return this.#table.skipped;
  }

  async stop(): Promise<ExitCode> {
    this.#dispatch({ type: 'stop', nowMs: this.#nowMs });
    return this.ended;
  }

  destroy(): void {
    void this.stop();
    for (const { worker } of this.#live.values()) worker.process.kill('SIGKILL');
  }

  logState(): void {
    const services = Object.fromEntries(this.#totals());
    const workers = this.#state.slots.map(({ status }, slot) => ({
      worker: slot + 1,
      status,
      pid: this.#live.get(slot)?.worker.process.pid,
    }));
    const listeners = this.listeners.map((each) => ({ service: each.service, address: formatBoundAddress(each) }));
    this.#options.log.info({ listeners, workers, services }, 'state');
  }

  #launch(effects: readonly PolicyEffect[]): void {
    // Workers accept from the shared handle: a quarter of the CPU a connection that round robin costs.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('worker.js', import.meta.url)),
      args: [],
      execArgv: [],
      serialization: 'advanced',
      // Inherited UDP sockets go to the workers as copies: the primary would close its own when their reader dies.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...this.#table.inheritedDatagrams],
    });
    this.#act(effects);
    const cancelTicks = this.#options.clock.every(tickPeriodMs, () =>
      this.#dispatch({ type: 'tick', nowMs: this.#nowMs }),
    );
    void this.ended.then(cancelTicks);
  }

  #dispatch(event: PolicyEvent): void {
    const [state, effects] = decide(this.#state, event);
    this.#state = state;
    this.#act(effects);
    this.#noteReady();
  }

  /** Up: some worker serves, and none is about to. */
  #noteReady(): void {
    const { slots, stopping } = this.#state;
    if (this.#up || stopping || slots.some(({ status }) => status === 'starting' || status === 'waiting')) return;
    if (!slots.some(({ status }) => status === 'ready')) return;
    const unserved = this.#table.unserved;
    if (unserved !== undefined) {
      this.#fail(unservedError(unserved));
      return;
    }
    this.#up = true;
    this.#resolveReady();
    this.#reassign();
  }

  #act(effects: readonly PolicyEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'fork':
          this.#fork(effect.slot);
          break;
        case 'kill':
          this.#options.log.error({ worker: effect.slot + 1 }, 'a worker is silent: it hangs, and is killed');
          this.#live.get(effect.slot)?.worker.process.kill('SIGKILL');
          break;
        case 'stop':
          this.#stopWorker(effect.slot);
          break;
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
    const worker = cluster.fork();
    const live: Live = { slot, worker, ordered: false, counters: new Map() };
    this.#live.set(slot, live);
    const { sink, log } = this.#options;
    const lines = new Lines((line) => sink.write(line));
    const budget = new LineBudget();
    const complaints = new Lines((line) => {
      if (!budget.take(this.#nowMs)) return;
      const notLogged = budget.takeLeftOut();
      const fields = { worker: slot + 1, stderr: line.trimEnd().slice(0, 2000) };
      log.error(notLogged === 0 ? fields : { ...fields, notLogged }, 'a worker complains');
    });
    worker.process.stdout?.setEncoding('utf8').on('data', (text: string) => lines.write(text));
    worker.process.stderr?.setEncoding('utf8').on('data', (text: string) => complaints.write(text));
    const unread = new Promise<void>((resolve) => worker.process.once('close', () => resolve()));
    this.#unread.add(unread);
    void unread.then(() => this.#unread.delete(unread));
    worker.on('message', (report: WorkerReport) => this.#heard(live, report));
    worker.on('error', (error) => {
      log.warn({ worker: slot + 1, err: error }, 'a worker cannot be reached');
      // A process that could not be made at all has no exit.
      if (worker.process.pid === undefined) this.#gone(live, null, null);
    });
    worker.on('exit', (code: number | null, signal: string | null) => this.#gone(live, code, signal));
  }

  #heard(live: Live, report: WorkerReport): void {
    const { slot } = live;
    switch (report.type) {
      case 'loaded':
        if (this.#state.stopping) break;
        live.ordered = true;
        this.#order(live, this.#startOrder(slot));
        break;
      case 'heartbeat':
        live.counters = report.counters;
        this.#options.sink.addLost(report.lostLines);
        this.#dispatch({ type: 'heard', slot, nowMs: this.#nowMs });
        break;
      case 'opened':
        this.#record(report.opened);
        this.#noteOpenAgain(slot, report.opened);
        break;
      case 'ready':
        this.#record(report.opened);
        this.#readied(live);
        break;
      case 'not-opened':
        this.#options.log.error({ worker: slot + 1, code: report.code, retryMs: reopenMs }, report.message);
        for (const service of report.services) this.#missing.add(service);
        this.#options.clock.after(reopenMs, () => this.#openDatagrams(live, new Set(report.services)));
        break;
      case 'failed':
        if (this.#up) this.#options.log.error({ worker: slot + 1, code: report.code }, report.message);
        else this.#fail(new SmallservdError(report.code, report.message));
        break;
    }
  }

  #readied(live: Live): void {
    const { slot } = live;
    const isBack = this.#up;
    if (isBack) this.#options.log.info({ worker: slot + 1 }, 'a worker is back');
    this.#dispatch({ type: 'ready', slot, nowMs: this.#nowMs });
    if (isBack) this.#openDatagrams(live, this.#ownedBy(slot));
    this.#reassign();
  }

  #noteOpenAgain(slot: number, opened: readonly Opened[]): void {
    for (const service of new Set(opened.map(({ id }) => this.#options.plan[id]?.service ?? ''))) {
      if (this.#missing.delete(service)) this.#options.log.info({ worker: slot + 1, service }, 'listening again');
    }
  }

  #record(opened: readonly Opened[]): void {
    if (!this.#table.record(opened)) return;
    for (const live of this.#live.values()) this.#order(live, { type: 'own-ports', ports: this.#table.datagramPorts });
  }

  #gone(live: Live, code: number | null, signal: string | null): void {
    const { slot, worker } = live;
    this.#live.delete(slot);
    for (const [service, counters] of live.counters) addServiceCounters(this.#pastOf(service), withoutActive(counters));
    if (!this.#state.stopping) {
      const { log } = this.#options;
      log.error(
        { worker: slot + 1, pid: worker.process.pid, exitCode: code, signal },
        'a worker died; the others go on',
      );
    }
    this.#dispatch({ type: 'died', slot, exitCode: code, nowMs: this.#nowMs });
    this.#keepPorts();
    this.#reassign();
  }

  /**
   * With its last holder the primary closes a shared port. A worker that comes next asks for the same number, and one that is on its way with older
   * orders begins again.
   */
  #keepPorts(): void {
    if (!this.#up || this.#state.slots.some(({ status }) => status === 'ready')) return;
    this.#table.pinPorts();
    for (const { ordered, worker } of this.#live.values()) if (ordered) worker.process.kill('SIGKILL');
  }

  #startOrder(slot: number): WorkerOrder {
    const { source, config, identity } = this.#options;
    return {
      type: 'start',
      slot: slot + 1,
      source,
      // Once the daemon is up, a UDP socket that cannot be had is no reason to do without a worker: they come by orders of their own.
      listeners: this.#table.toOpen(this.#up ? new Set() : this.#ownedBy(slot), true),
      ownPorts: this.#table.datagramPorts,
      processes: config.workers,
      identity,
    };
  }

  #ownedBy(slot: number): ReadonlySet<string> {
    return new Set([...this.#owners].filter(([, owner]) => owner === slot).map(([service]) => service));
  }

  /** Has a worker open those of the services' UDP sockets that are still its own. */
  #openDatagrams(live: Live, services: ReadonlySet<string>): void {
    if (this.#state.stopping || this.#live.get(live.slot) !== live) return;
    const owned = this.#ownedBy(live.slot);
    const listeners = this.#table.toOpen(new Set([...services].filter((service) => owned.has(service))), false);
    if (listeners.length > 0) this.#order(live, { type: 'open', listeners });
  }

  /** UDP sockets whose worker died go to those that are ready, at once. */
  #reassign(): void {
    if (!this.#up || this.#state.stopping) return;
    const { slots } = this.#state;
    // A slot that is starting keeps its own: it is told to open them when it is ready.
    const alive = new Set(slots.flatMap((slot, index) => (isAlive(slot) ? [index] : [])));
    const ready = slots.flatMap(({ status }, index) => (status === 'ready' ? [index] : []));
    const before = this.#owners;
    this.#owners = reassign(before, alive, ready);
    for (const slot of ready) {
      const gained = [...this.#ownedBy(slot)].filter((service) => before.get(service) !== slot);
      const live = this.#live.get(slot);
      if (live !== undefined) this.#openDatagrams(live, new Set(gained));
    }
  }

  #stopWorker(slot: number): void {
    const live = this.#live.get(slot);
    if (live === undefined) return;
    const { graceMs } = this.#options.config.shutdown;
    this.#order(live, { type: 'stop', graceMs });
    this.#options.clock.after(graceMs + stopSlackMs, () => live.worker.process.kill('SIGKILL'));
  }

  #order(live: Live, order: WorkerOrder): void {
    if (live.worker.isConnected()) live.worker.process.send(order, () => {});
  }

  /** Ends what runs, then rejects `ready`: nothing stays behind. */
  #fail(error: SmallservdError): void {
    if (this.#state.stopping) return;
    this.#failure = error;
    this.#state = { ...this.#state, stopping: true };
    for (const { worker } of this.#live.values()) worker.process.kill('SIGKILL');
  }

  async #end(code: ExitCode): Promise<void> {
    this.#state = { ...this.#state, stopping: true };
    for (const { worker } of this.#live.values()) worker.process.kill('SIGKILL');
    await Promise.race([Promise.all(this.#unread), this.#pause(lastLinesMs)]);
    if (code === exitCodes.workersKeepDying && this.#failure === undefined) {
      const message = 'the workers keep dying; the log says how each of them ended';
      this.#failure = new SmallservdError('WORKERS_KEEP_DYING', message);
      this.#options.log.error({}, message);
    }
    if (this.#failure !== undefined) this.#rejectReady(this.#failure);
    this.#resolveEnded(this.#failure?.exitCode ?? code);
  }

  #totals(): ReadonlyMap<string, ServiceCounters> {
    const totals = new Map<string, ServiceCounters>();
    for (const { name } of this.#options.config.services) {
      const total = newServiceCounters();
      addServiceCounters(total, this.#pastOf(name));
      for (const { counters } of this.#live.values())
        addServiceCounters(total, counters.get(name) ?? newServiceCounters());
      totals.set(name, total);
    }
    return totals;
  }

  #pastOf(service: string): ServiceCounters {
    const past = this.#past.get(service) ?? newServiceCounters();
    this.#past.set(service, past);
    return past;
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#options.clock.after(ms, resolve);
    });
  }

  get #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

/** The clients of a worker that has gone are gone with it. */
function withoutActive({ stream, datagram }: ServiceCounters): ServiceCounters {
  return { stream: { ...stream, active: 0 }, datagram };
}
