import { newServiceCounters, type ServiceCounters } from '../../src/server/counters.ts';
import type { WorkerOrder } from '../../src/server/supervisor/messages.ts';
import type { WorkerReport } from '../../src/server/supervisor/reports.ts';
import type { Worker, WorkerFactory } from '../../src/server/supervisor/worker-process.ts';

type Handlers = Parameters<WorkerFactory>[1];
type Options = Parameters<WorkerFactory>[0];

/** A worker without a process: it keeps its orders, and the test says what it reports and when it ends. */
export class FakeWorker implements Worker {
  readonly slot: number;
  readonly name: number;
  readonly pid: number;
  hasStarted = false;
  hasFailed = false;
  wasKilled = false;
  counters: Worker['counters'] = new Map();
  topSources: Worker['topSources'] = new Map();
  offenders: Worker['offenders'] = new Map();
  health: Worker['health'] = undefined;
  readonly read: Promise<void> = Promise.resolve();
  readonly orders: WorkerOrder[] = [];
  readonly descriptors: readonly number[];
  isGone = false;
  isHung = false;
  /** What the system tells of it. */
  does: ReturnType<Worker['activity']> = undefined;
  readonly #handlers: Handlers;

  constructor({ slot, name, descriptors }: Options, handlers: Handlers) {
    this.descriptors = descriptors;
    this.slot = slot;
    this.name = name;
    this.pid = 1000 + name;
    this.#handlers = handlers;
  }

  order(order: WorkerOrder): void {
    if (order.type === 'start') this.hasStarted = true;
    this.orders.push(order);
  }

  /** Stops when told to, unless it hangs. */
  stop(graceMs: number): void {
    this.order({ type: 'stop', graceMs });
    if (!this.isHung) queueMicrotask(() => this.report({ type: 'suspended' }));
  }

  heardStop(): void {}

  activity(): ReturnType<Worker['activity']> {
    return this.does;
  }

  kill(): void {
    this.wasKilled = true;
    this.die(null, 'SIGKILL');
  }

  report(report: WorkerReport): void {
    this.#handlers.heard(report);
  }

  /** Loads, and becomes ready. */
  serve(): void {
    this.report({ type: 'loaded' });
    this.report({ type: 'ready' });
  }

  /** Counts N clients of a service that are there now, and as many that it has had, also by its own counter. */
  count(
    service: string,
    active: number,
    custom: ServiceCounters['custom'] = { clients: { help: 'Clients.', count: active } },
  ): void {
    const counters: ServiceCounters = { ...newServiceCounters(), custom };
    counters.stream.accepted = active;
    counters.stream.active = active;
    const health = { lagMs: 1, residentBytes: 1, heapBytes: 1, cpuMs: 3, cpuSystemMs: 2, upMs: 1 };
    this.report({
      type: 'heartbeat',
      counters: [[service, counters]],
      topSources: [],
      offenders: [],
      health,
      lostLines: 0,
    });
  }

  /** Ends as one that was told to. */
  finish(): void {
    this.die(0);
  }

  die(code: number | null, signal: string | null = null): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#handlers.gone(code, signal);
  }
}

/** Makes workers, and keeps all that it has made. */
export class FakeWorkers {
  readonly all: FakeWorker[] = [];

  readonly start: WorkerFactory = (options, handlers) => {
    const worker = new FakeWorker(options, handlers);
    this.all.push(worker);
    return worker;
  };

  /** Those that live, the oldest first. */
  get live(): readonly FakeWorker[] {
    return this.all.filter(({ isGone }) => !isGone);
  }
}
