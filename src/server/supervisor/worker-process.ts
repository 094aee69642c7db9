import cluster, { type Worker as ClusterWorker } from 'node:cluster';
import { Duplex, type Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { ServiceCounters } from '../counters.ts';
import type { SourceCount } from '../guard/admission.ts';
import type { LogSink } from '../log.ts';
import type { ProcessHealth } from '../process-health.ts';
import { Channel, channelDescriptor } from './channel.ts';
import { childArguments } from '../child-arguments.ts';
import { readComplaints } from './complaints.ts';
import { type ClusterRules, forkGuarded } from './cluster-requests.ts';
import type { WorkerOrder } from './messages.ts';
import { OwedReports } from './owed-reports.ts';
import { readLines } from './paced-lines.ts';
import { readReport, type WorkerReport, type workerReports } from './reports.ts';

export interface WorkerProcessOptions {
  readonly slot: number;
  /** Its number in the log; no two workers of a daemon have the same. */
  readonly name: number;
  /** Inherited UDP sockets, of which it gets copies: the primary would close its own when their reader dies. */
  readonly inheritedDatagrams: readonly number[];
  readonly reports: ReturnType<typeof workerReports>;
  readonly clusterRules: ClusterRules;
  readonly maxReportBytes: number;
  /** Of its log. */
  readonly linesPerSecond: number;
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

/** Orders that a worker has not read: two configs of the largest size, and what comes after them. */
const maxUnreadBytes = 64 * 2 ** 20;

/** For what a worker has written before its end to be read. */
const lastOutputMs = 2000;

/** Lines of a log are shorter on average, those of errors too. */
const maxMeanLineBytes = 4096;

/** A worker reports once a second, and where listeners open or do not. */
const maxReportsPerSecond = 200;

/** A worker, as its generation needs it. */
export type Worker = Pick<WorkerProcess, keyof WorkerProcess>;

export type WorkerFactory = (options: WorkerProcessOptions, handlers: WorkerProcessHandlers) => Worker;

/** It is parsed in the supervisor: a worker must not keep it busy. A usual report is a hundred times smaller. */
const largestReportsPerSecond = 3;

/** One worker, as its supervisor sees it: orders go in; reports, log lines and complaints come out. */
export class WorkerProcess {
  readonly slot: number;
  readonly name: number;
  /** It was told what to open: it may hold listeners. */
  hasStarted = false;
  /** It has said why it ends. */
  hasFailed = false;
  /** By us: that it ends then is no news. */
  wasKilled = false;
  /** As of its last heartbeat. */
  counters: ReadonlyMap<string, ServiceCounters> = new Map();
  topSources: ReadonlyMap<string, readonly SourceCount[]> = new Map();
  health: ProcessHealth | undefined;
  /** Resolves when its output has been read to the end: it may have died, its last lines not. */
  readonly read: Promise<void>;
  readonly #worker: ClusterWorker;
  /** Undefined where there never was a process. */
  readonly #channel: Channel | undefined;
  readonly #clock: Clock;
  readonly #owed = new OwedReports();
  /** Of the times at which it would be killed. */
  readonly #cancels: Cancel[] = [];
  #cancelTrial: Cancel | undefined;
  #isGone = false;
  #isDistrusted = false;

  constructor(options: WorkerProcessOptions, handlers: WorkerProcessHandlers) {
    this.slot = options.slot;
    this.name = options.name;
    this.#clock = options.clock;
    const failed = (fault: string): void => this.#distrust(options, fault);
    this.#worker = forkGuarded(() => fork(options.inheritedDatagrams), options.clusterRules, failed);
    const { process } = this.#worker;
    this.#channel = this.#open(options, handlers, failed);
    // `close` of the process never comes: Node emits it when its own channel, which it does not read, has ended, too.
    this.read = allClosed([process.stdout, process.stderr]);
    this.#forwardOutput(options);
    const gone = (code: number | null, signal: string | null): void => {
      if (this.#isGone) return;
      this.#isGone = true;
      for (const cancel of this.#cancels.splice(0)) cancel();
      // A child that it has left behind could go on in its name.
      this.#channel?.close();
      if (process.connected) process.disconnect();
      this.#clock.after(lastOutputMs, () => {
        process.stdout?.destroy();
        process.stderr?.destroy();
      });
      handlers.gone(code, signal);
    };
    this.#worker.on('error', (error) => {
      options.log.warn({ worker: this.name, err: error }, 'worker unreachable');
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
    this.#owed.ordered(order);
    if ((this.#channel?.unsentBytes ?? 0) > maxUnreadBytes) this.kill();
    else this.#channel?.send(order);
  }

  /**
   * Ends it: its clients may finish within `graceMs`, and if it hangs it is killed: soon where it `mayHang` already.
   */
  stop(graceMs: number, mayHang = false): void {
    this.order({ type: 'stop', graceMs });
    this.#cancels.push(this.#clock.after(graceMs + stopSlackMs, () => this.kill()));
    if (!mayHang) return;
    this.#cancelTrial = this.#clock.after(stopSlackMs, () => this.kill());
    this.#cancels.push(this.#cancelTrial);
  }

  /** It has told that it was told to end: it does not hang. */
  heardStop(): void {
    this.#cancelTrial?.();
  }

  kill(): void {
    this.wasKilled = true;
    this.#worker.process.kill('SIGKILL');
  }

  #open(
    { reports, maxReportBytes, clock }: WorkerProcessOptions,
    handlers: WorkerProcessHandlers,
    failed: (fault: string) => void,
  ): Channel | undefined {
    // Where the system has no descriptor left, there is no process, and Node leaves that undefined.
    const { stdio } = this.#worker.process as { readonly stdio?: readonly unknown[] };
    const socket = stdio?.[channelDescriptor];
    if (!(socket instanceof Duplex)) return undefined;
    const limits = {
      maxMessageBytes: maxReportBytes,
      maxMessagesPerSecond: maxReportsPerSecond,
      maxBytesPerSecond: largestReportsPerSecond * maxReportBytes,
    };
    return new Channel(socket, limits, () => clock.monotonicMs(), {
      heard: (message) => {
        if (this.#isDistrusted || this.#isGone) return undefined;
        const reading = readReport(reports, message);
        if ('fault' in reading) return reading.fault;
        const fault = this.#owed.take(reading.report.type);
        if (fault === undefined) handlers.heard(reading.report);
        return fault;
      },
      failed,
      closed: () => {},
    });
  }

  /** It says what no worker of ours says: it is ended, and nothing more of it is heard. */
  #distrust({ log }: WorkerProcessOptions, fault: string): void {
    if (this.#isDistrusted) return;
    this.#isDistrusted = true;
    log.error({ worker: this.name, fault }, 'worker sent an invalid report, killing it');
    this.#worker.process.kill('SIGKILL');
  }

  #forwardOutput({ linesPerSecond, sink, log, clock }: WorkerProcessOptions): void {
    const { stdout, stderr } = this.#worker.process;
    const pace = { linesPerSecond, bytesPerSecond: linesPerSecond * maxMeanLineBytes };
    readLines(
      stdout,
      clock,
      pace,
      (line) => sink.write(line),
      () => sink.addLost(1),
    );
    readComplaints(stderr, clock, (complaint) =>
      log.error({ worker: this.name, ...complaint }, 'worker wrote to stderr'),
    );
  }
}

async function allClosed(streams: readonly (Readable | null | undefined)[]): Promise<void> {
  const closed = streams.map(async (stream) => {
    await new Promise<void>((resolve) => {
      if (stream === null || stream === undefined) resolve();
      else stream.once('close', resolve);
    });
  });
  await Promise.all(closed);
}

function fork(inheritedDatagrams: readonly number[]): ClusterWorker {
  // Workers accept from the shared handle: a quarter of the CPU a connection that round robin costs.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  // For each worker anew: during a reload those of two configs are forked in turn.
  cluster.setupPrimary({
    exec: fileURLToPath(new URL('worker.js', import.meta.url)),
    args: [],
    execArgv: [...childArguments],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe', ...inheritedDatagrams],
  });
  return cluster.fork();
}
