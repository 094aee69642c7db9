import { BudgetedLog } from './budgeted-log.ts';
import type { Cancel, Clock } from '../clock/clock.ts';
import { type ClockReading, ClockStatus } from '../clock/clock-status.ts';
import { clockIsSet } from '../clock/release.ts';
import { createServices } from './config/create-services.ts';
import { type CustomCounts, CustomCounters } from './custom-counters.ts';
import type { LoadedConfig } from './config/loaded-config.ts';
import { readClock, readWallClockUs } from '../kernel/system-clock.ts';
import type { Logger } from 'pino';
import type { Counter, Log, NamedService, Service, ServiceContext } from '../service.ts';

/** How long startup waits for the first run of the periodic tasks. */
const firstRunMs = 5000;

/** Platform timers overflow at 2^31 ms, 24.8 days, and then fire at once. */
const longestMs = 24 * 86_400_000;

/** What only the system knows of its wall clock. Both return undefined if it does not tell. */
export interface SystemClock {
  /** Microseconds since 1970. */
  readUs(): number | undefined;
  read(): ClockReading | undefined;
}

const kernelClock: SystemClock = { readUs: readWallClockUs, read: readClock };

/** A service's context, tasks and counters. No task runs before `start`, and none begins after `stop`. */
export class TaskContext implements ServiceContext {
  readonly log: Log;
  readonly services: ReadonlyMap<string, NamedService>;
  readonly #counters = new CustomCounters();
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #system: SystemClock;
  readonly #status: ClockStatus;
  readonly #tasks: { ms: number; task: () => Promise<void> }[] = [];
  readonly #cancels = new Set<Cancel>();
  /** Delayed tasks whose time begins with `start`. */
  readonly #unstarted = new Set<() => void>();
  #state: 'waiting' | 'started' | 'stopped' = 'waiting';

  constructor(
    clock: Clock,
    random: () => number,
    log: Log,
    services: ReadonlyMap<string, NamedService> = new Map(),
    system: SystemClock = kernelClock,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#system = system;
    this.#status = new ClockStatus(() => system.read(), clock);
    this.log = log;
    this.services = services;
  }

  now(): Date {
    return this.#clock.now();
  }

  nowUs(): number {
    return this.#system.readUs() ?? this.#clock.now().getTime() * 1000;
  }

  clockIsSet(): boolean {
    return clockIsSet(this.#clock.now().getTime());
  }

  clockIsSynchronized(): boolean {
    return this.#status.isSynchronized;
  }

  clockErrorUs(): number {
    return this.#status.errorUs;
  }

  random(): number {
    return this.#random();
  }

  every(ms: number, task: () => Promise<void>): void {
    this.#tasks.push({ ms, task });
    if (this.#state === 'started') void this.#run(ms, task);
  }

  after(ms: number, task: () => void | Promise<void>): Cancel {
    if (typeof ms !== 'number' || (ms !== Infinity && !(ms >= 0 && ms <= longestMs)))
      throw new RangeError(`cannot wait ${String(ms)} ms: expected a number from 0 to ${longestMs}, or Infinity`);
    if (ms === Infinity || this.#state === 'stopped') return () => {};
    let cancelTimer: Cancel | undefined;
    const begin = (): void => {
      cancelTimer = this.#clock.after(ms, () => {
        this.#cancels.delete(cancel);
        void this.#runOnce(task);
      });
    };
    const cancel = (): void => {
      this.#cancels.delete(cancel);
      this.#unstarted.delete(begin);
      cancelTimer?.();
    };
    this.#cancels.add(cancel);
    if (this.#state === 'started') begin();
    else this.#unstarted.add(begin);
    return cancel;
  }

  counter(name: string, help: string): Counter {
    return this.#counters.declare(name, help);
  }

  /** What the service has counted in this process, up to date at any time. */
  get counts(): CustomCounts {
    return this.#counters.counts;
  }

  /**
   * Runs each periodic task once before it resolves, so that the first client already gets their results. It does not
   * wait longer than five seconds for a task.
   */
  async start(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'started';
    for (const begin of this.#unstarted) begin();
    this.#unstarted.clear();
    const firstRuns = Promise.all(this.#tasks.map(({ ms, task }) => this.#run(ms, task)));
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(firstRunMs, () => {
        this.log.warn({ waitedMs: firstRunMs }, 'first run of periodic task unfinished, serving without it');
        resolve();
      });
      void firstRuns.then(cancel).then(resolve);
    });
  }

  stop(): void {
    this.#state = 'stopped';
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  async #runOnce(task: () => void | Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      logTaskError(error, (err) => this.log.error({ err }, 'delayed task failed'));
    }
  }

  async #run(ms: number, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      logTaskError(error, (err) => this.log.error({ err }, 'periodic task failed, it will run again'));
    }
    if (this.#state !== 'started') return;
    const cancel = this.#clock.after(ms, () => {
      this.#cancels.delete(cancel);
      void this.#run(ms, task);
    });
    this.#cancels.add(cancel);
  }
}

/** The error of a task may be anything, also an object that throws when it is read. */
function logTaskError(error: unknown, log: (error: unknown) => void): void {
  try {
    log(error);
  } catch {
    log(new Error('the error cannot be read'));
  }
}

/** A service with its context, created for one instance in the config. */
export interface PreparedService {
  readonly service: Service;
  readonly context: TaskContext;
  /** The host's log, used for everything written about this service. */
  readonly log: BudgetedLog;
}

/** Creates the services of a config and their contexts. `processes` serve them. Throws what `createServices` throws. */
export async function prepareServices(
  loaded: LoadedConfig,
  clock: Clock,
  random: () => number,
  log: Logger,
  processes: number,
): Promise<ReadonlyMap<string, PreparedService>> {
  const contexts = new Map<string, Omit<PreparedService, 'service'>>();
  const services = await createServices(loaded, ({ name }, named) => {
    const budgeted = new BudgetedLog(log.child({ service: name }), clock, processes);
    const context = new TaskContext(clock, random, budgeted, named);
    contexts.set(name, { context, log: budgeted });
    return context;
  });
  return new Map([...services].map(([name, service]) => [name, { service, ...contexts.get(name)! }]));
}
