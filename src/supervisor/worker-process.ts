import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '../clock/clock.ts';
import type { ServiceCounters } from '../counters.ts';
import type { SourceCount } from '../guard/admission.ts';
import { LineBudget } from '../line-budget.ts';
import type { LogSink } from '../log.ts';
import type { ProcessHealth } from '../process-health.ts';
import { Lines } from './lines.ts';
import type { WorkerOrder, WorkerReport } from './messages.ts';

export interface WorkerProcessOptions {
  readonly slot: number;
  /** Its number in the log; no two workers of a daemon have the same. */
  readonly name: number;
  /** Inherited UDP sockets, of which it gets copies: the primary would close its own when their reader dies. */
  readonly inheritedDatagrams: readonly number[];
  readonly clock: Clock;
  readonly sink: LogSink;
  readonly log: Logger;
}

export interface WorkerProcessHandlers {
  heard(report: WorkerReport): void;
  /** Called once. Both null: there never was a process. */
  gone(exitCode: number | null, signal: string | null): void;
}

/** How much longer than the grace period a worker may take to end before it is killed. */
const stopSlackMs = 2000;

/** One worker, as its supervisor sees it: orders go in; reports, log lines and complaints come out. */
export class WorkerProcess {
  readonly slot: number;
  readonly name: number;
  /** It was told what to open: it may hold listeners. */
  hasStarted = false;
  /** By us: that it ends then is no news. */
  wasKilled = false;
  /** As of its last heartbeat. */
  counters: ReadonlyMap<string, ServiceCounters> = new Map();
  topSources: ReadonlyMap<string, readonly SourceCount[]> = new Map();
  health: ProcessHealth | undefined;
  /** Resolves when its output has been read to the end: it may have died, its last lines not. */
  readonly read: Promise<void>;
  readonly #worker: Worker;
  readonly #clock: Clock;
  /** Of the times at which it would be killed. */
  readonly #cancels: Cancel[] = [];
  #isGone = false;

  constructor(options: WorkerProcessOptions, handlers: WorkerProcessHandlers) {
    this.slot = options.slot;
    this.name = options.name;
    this.#clock = options.clock;
    this.#worker = fork(options.inheritedDatagrams);
    const { process } = this.#worker;
    this.read = new Promise((resolve) => {
      process.once('close', () => resolve());
    });
    this.#forwardOutput(options);
    const gone = (code: number | null, signal: string | null): void => {
      if (this.#isGone) return;
      this.#isGone = true;
      for (const cancel of this.#cancels.splice(0)) cancel();
      handlers.gone(code, signal);
    };
    this.#worker.on('message', (report: WorkerReport) => handlers.heard(report));
    this.#worker.on('error', (error) => {
      options.log.warn({ worker: this.name, err: error }, 'a worker cannot be reached');
      // A process that could not be made at all has no exit.
      if (process.pid === undefined) gone(null, null);
    });
    this.#worker.on('exit', gone);
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  order(order: WorkerOrder): void {
    if (order.type === 'start') this.hasStarted = true;
    if (this.#worker.isConnected()) this.#worker.process.send(order, () => {});
  }

  /** Ends it: its clients may finish within `graceMs`, and if it hangs it is killed. */
  stop(graceMs: number): void {
    this.order({ type: 'stop', graceMs });
    this.#cancels.push(this.#clock.after(graceMs + stopSlackMs, () => this.kill()));
  }

  kill(): void {
    this.wasKilled = true;
    this.#worker.process.kill('SIGKILL');
  }

  #forwardOutput({ sink, log, clock }: WorkerProcessOptions): void {
    const lines = new Lines(
      (line) => sink.write(line),
      () => sink.addLost(1),
    );
    const budget = new LineBudget();
    const complain = (line: string): void => {
      if (!budget.take(clock.monotonicMs())) return;
      const notLogged = budget.takeLeftOut();
      const fields = { worker: this.name, stderr: line.trimEnd().slice(0, 2000) };
      log.error(notLogged === 0 ? fields : { ...fields, notLogged }, 'a worker complains');
    };
    const complaints = new Lines(complain, () => budget.leaveOut());
    const { stdout, stderr } = this.#worker.process;
    stdout?.setEncoding('utf8').on('data', (text: string) => lines.write(text));
    stderr?.setEncoding('utf8').on('data', (text: string) => complaints.write(text));
  }
}

function fork(inheritedDatagrams: readonly number[]): Worker {
  // Workers accept from the shared handle: a quarter of the CPU a connection that round robin costs.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  // For each worker anew: during a reload those of two configs are forked in turn.
  cluster.setupPrimary({
    exec: fileURLToPath(new URL('worker.js', import.meta.url)),
    args: [],
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...inheritedDatagrams],
  });
  return cluster.fork();
}
