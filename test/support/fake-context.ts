import { CustomCounters } from '../../src/server/custom-counters.ts';
import type { Counter, Log, NamedService, ServiceContext } from '../../src/service.ts';

export interface LogRecord {
  readonly level: keyof Log;
  readonly fields: object;
  readonly message: string;
}

/** A context whose time, randomness and tasks are in the test's hands. */
export class FakeContext implements ServiceContext {
  /** Milliseconds since 1970. */
  nowMs: number;
  clockSet = true;
  clockSynchronized = true;
  /** Microseconds. */
  errorUs = 0;
  /** Microseconds since 1970, if it is to differ from `nowMs`. */
  exactUs: number | undefined;
  /** The numbers that `random` gives, in this order. */
  readonly randomNumbers: number[] = [];
  readonly tasks: { readonly ms: number; readonly run: () => Promise<void> }[] = [];
  /** Those that are to run once, and were not cancelled. */
  readonly delayed = new Set<{ readonly ms: number; readonly run: () => void | Promise<void> }>();
  readonly counters = new CustomCounters();
  /** What the services of the config are, by name. */
  readonly services = new Map<string, NamedService>();
  readonly records: LogRecord[] = [];
  readonly log: Log = {
    debug: (fields, message) => this.#record('debug', fields, message),
    info: (fields, message) => this.#record('info', fields, message),
    warn: (fields, message) => this.#record('warn', fields, message),
    error: (fields, message) => this.#record('error', fields, message),
  };

  constructor(now: string | number = '2026-11-22T11:07:12Z') {
    this.nowMs = new Date(now).getTime();
  }

  now(): Date {
    return new Date(this.nowMs);
  }

  clockIsSet(): boolean {
    return this.clockSet;
  }

  nowUs(): number {
    return this.exactUs ?? this.nowMs * 1000;
  }

  clockIsSynchronized(): boolean {
    return this.clockSynchronized;
  }

  clockErrorUs(): number {
    return this.errorUs;
  }

  random(): number {
    const number = this.randomNumbers.shift();
    if (number === undefined) throw new Error('no random number is left: script more');
    return number;
  }

  every(ms: number, run: () => Promise<void>): void {
    this.tasks.push({ ms, run });
  }

  after(ms: number, run: () => void | Promise<void>): () => void {
    const task = { ms, run };
    this.delayed.add(task);
    return () => this.delayed.delete(task);
  }

  counter(name: string, help: string): Counter {
    return this.counters.declare(name, help);
  }

  /** Runs each periodic task once. */
  async runTasks(): Promise<void> {
    await Promise.all(this.tasks.map((task) => task.run()));
  }

  /** Runs each delayed task that is left. */
  async runDelayed(): Promise<void> {
    const tasks = [...this.delayed];
    this.delayed.clear();
    for (const { run } of tasks) await run();
  }

  #record(level: keyof Log, fields: object, message: string): void {
    this.records.push({ level, fields, message });
  }
}
