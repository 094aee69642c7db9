import type { ChildProcess } from 'node:child_process';
import { Duplex, type Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import type { ServiceCounters } from '../counters.ts';
import type { SourceCount } from '../guard/admission.ts';
import type { ServiceOffenders } from '../guard/offenders.ts';
import type { LogSink } from '../log.ts';
import type { ProcessHealth } from '../process-health.ts';
import { readActivity } from './activity.ts';
import { Channel, channelDescriptor, type ChannelLimits, takeOnlyBytesOf } from './channel.ts';
import { spawnChild } from '../child-process.ts';
import { childArguments } from '../child-arguments.ts';
import type { WorkerOrder } from './messages.ts';
import { watchOpenFilesLimit } from './open-files-watch.ts';
import { OwedReports } from './owed-reports.ts';
import { readComplaints, readLines } from './paced-lines.ts';
import { readReport, type WorkerReport, type workerReports } from './reports.ts';
import type { Activity } from './silence.ts';
import { SilenceWatch } from './silence-watch.ts';

export interface WorkerProcessOptions {
  readonly slot: number;
  /** Its number, as logged, unique within a daemon. */
  readonly name: number;
  /** The sockets that it inherits. In the worker their numbers start at `firstSocketDescriptor`. */
  readonly descriptors: readonly number[];
  readonly reports: ReturnType<typeof workerReports>;
  readonly reportLimits: ChannelLimits;
  /** Limit on its log lines. */
  readonly linesPerSecond: number;
  readonly clock: Clock;
  readonly sink: LogSink;
  readonly log: Logger;
}

export interface WorkerProcessHandlers {
  heard(report: WorkerReport): void;
  /** Called once. Both null: the process was never created. */
  gone(exitCode: number | null, signal: string | null): void;
}

/** In a worker: follows the channel to its supervisor. */
export const firstSocketDescriptor: number = channelDescriptor + 1;

/** How long after the grace period a worker is killed, starved or not: a stop must end. */
const stopSlackMs = 2000;

/** How long a worker that may hang has to acknowledge a stop, if it is not starved. */
const trialMs = 2000;

/** At the latest then it must have acknowledged a stop, starved or not: nobody reads its UDP sockets until it has. */
const longestTrialMs = 30_000;

/** The same for one that serves. It may be opening a listener, or busy. */
const acknowledgeMs = 7000;

/** Limit on unread orders: two configs of the largest size, and what follows them. */
const maxUnreadBytes = 64 * 2 ** 20;

/**
 * How long the system may take to report the end of a process that is killed, or has closed its channel. It never does
 * if another process traces it, see ptrace(2). Nothing of such a zombie runs any more.
 */
export const endReportMs = 2000;

/** Time for reading a worker's remaining output after its exit. */
const lastOutputMs = 2000;

/** Log lines are shorter on average, including errors. */
const maxMeanLineBytes = 1024;

/** A worker, as its generation sees it. */
export type Worker = Pick<WorkerProcess, keyof WorkerProcess>;

export type WorkerFactory = (options: WorkerProcessOptions, handlers: WorkerProcessHandlers) => Worker;

/** One worker, as its supervisor sees it: orders go in; reports, log lines and standard error come out. */
export class WorkerProcess {
  readonly slot: number;
  readonly name: number;
  /** It was told what to open, so it may hold listeners. */
  hasStarted = false;
  /** It has reported why it ends. */
  hasFailed = false;
  /** Killed by us, so its exit is expected. */
  wasKilled = false;
  /** As of its last heartbeat. */
  counters: ReadonlyMap<string, ServiceCounters> = new Map();
  topSources: ReadonlyMap<string, readonly SourceCount[]> = new Map();
  offenders: ReadonlyMap<string, ServiceOffenders> = new Map();
  health: ProcessHealth | undefined;
  /** Resolves when its output has been read to the end, which may be after its death. */
  readonly read: Promise<void>;
  readonly #process: ChildProcess;
  /** Undefined if the process was never created. */
  readonly #channel: Channel | undefined;
  readonly #options: WorkerProcessOptions;
  readonly #handlers: WorkerProcessHandlers;
  readonly #owed = new OwedReports();
  /** Cancel the timers that would kill it. */
  readonly #cancels: Cancel[] = [];
  /** Waits for it to acknowledge a stop. */
  #trial: SilenceWatch | undefined;
  #cancelTrial: Cancel | undefined;
  #isEnding = false;
  #isGone = false;
  #isDistrusted = false;

  constructor(options: WorkerProcessOptions, handlers: WorkerProcessHandlers) {
    this.slot = options.slot;
    this.name = options.name;
    this.#options = options;
    this.#handlers = handlers;
    this.#process = fork(options.descriptors);
    this.#channel = this.#open();
    for (const end of [this.#process.stdout, this.#process.stderr]) takeOnlyBytesOf(end);
    this.read = allClosed([this.#process.stdout, this.#process.stderr]);
    this.#forwardOutput();
    this.#process.on('error', (error) => {
      options.log.warn({ worker: this.name, err: error }, 'cannot start worker');
      // A process that could not be created does not emit `exit`.
      if (this.pid === undefined) this.#gone(null, null);
    });
    this.#process.on('exit', (code, signal) => this.#gone(code, signal));
    if (this.pid !== undefined)
      this.#cancels.push(watchOpenFilesLimit(this.pid, options.clock, (limit) => this.#lostFiles(limit)));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Returns what it has done; undefined if unknown. */
  activity(): Activity | undefined {
    return this.pid === undefined ? undefined : readActivity(this.pid);
  }

  order(order: WorkerOrder): void {
    if (order.type === 'start') this.hasStarted = true;
    this.#owed.ordered(order);
    if ((this.#channel?.unsentBytes ?? 0) > maxUnreadBytes) this.kill();
    else this.#channel?.send(order);
  }

  /**
   * Ends it. Its clients may finish within `graceMs`. It must soon say that it holds its sockets no longer, or it is
   * killed: the next worker waits for that. One that `mayHang` gets less time.
   */
  stop(graceMs: number, mayHang = false): void {
    this.order({ type: 'stop', graceMs });
    const { clock } = this.#options;
    this.#cancels.push(clock.after(graceMs + stopSlackMs, () => this.kill()));
    this.#cancelTrial?.();
    this.#cancelTrial = clock.after(longestTrialMs, () => this.kill());
    this.#cancels.push(this.#cancelTrial);
    this.#trial?.cancel();
    this.#trial = new SilenceWatch({
      clock,
      patienceMs: mayHang ? trialMs : acknowledgeMs,
      activity: () => this.activity(),
      hung: () => this.kill(),
    });
  }

  /** It has acknowledged the stop, so it is not hung. */
  heardStop(): void {
    this.#cancelTrial?.();
    this.#trial?.cancel();
  }

  kill(): void {
    this.wasKilled = true;
    this.#end();
  }

  #end(): void {
    this.#process.kill('SIGKILL');
    this.#expectEnd();
  }

  #expectEnd(): void {
    if (this.#isGone || this.#isEnding) return;
    this.#isEnding = true;
    const giveUp = (): void => {
      this.#process.kill('SIGKILL');
      this.#gone(null, 'SIGKILL');
    };
    this.#cancels.push(this.#options.clock.after(endReportMs, giveUp));
  }

  #gone(code: number | null, signal: string | null): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#trial?.cancel();
    // A child left behind could continue in its name.
    this.#channel?.close();
    this.#options.clock.after(lastOutputMs, () => {
      this.#process.stdout?.destroy();
      this.#process.stderr?.destroy();
    });
    this.#handlers.gone(code, signal);
  }

  #open(): Channel | undefined {
    const { reports, reportLimits } = this.#options;
    // If the system has run out of descriptors, there is no process, and Node leaves `stdio` undefined.
    const { stdio } = this.#process as { readonly stdio?: readonly unknown[] };
    const socket = stdio?.[channelDescriptor];
    if (!(socket instanceof Duplex)) return undefined;
    // Not by our clock, which may leave out pauses of this process: the worker goes on sending during them.
    return new Channel(socket, reportLimits, () => systemClock.monotonicMs(), {
      heard: (message) => {
        if (this.#isDistrusted || this.#isGone) return undefined;
        const reading = readReport(reports, message);
        if ('fault' in reading) return reading.fault;
        const fault = this.#owed.take(reading.report.type);
        if (fault === undefined) this.#handlers.heard(reading.report);
        return fault;
      },
      failed: (fault) => this.#distrust(fault),
      closed: () => this.#expectEnd(),
    });
  }

  /** Ends a worker that sent something none of ours sends, and ignores the rest of its input. */
  #distrust(fault: string): void {
    if (this.#isDistrusted) return;
    this.#isDistrusted = true;
    this.#options.log.error({ worker: this.name, error: fault }, 'worker sent an invalid report, killing it');
    this.#end();
  }

  #lostFiles(openFilesLimit: number): void {
    this.#options.log.error({ worker: this.name, openFilesLimit }, 'limit on open files of worker lowered, killing it');
    this.#end();
  }

  #forwardOutput(): void {
    const { linesPerSecond, sink, log, clock } = this.#options;
    const { stdout, stderr } = this.#process;
    const pace = { linesPerSecond, bytesPerSecond: linesPerSecond * maxMeanLineBytes };
    readLines(
      stdout,
      clock,
      pace,
      (line) => sink.write(line),
      () => sink.addLost(1),
    );
    readComplaints(stderr, clock, (complaint) =>
      log.error({ worker: this.name, ...complaint }, 'worker printed a line'),
    );
  }
}

async function allClosed(streams: readonly (Readable | null | undefined)[]): Promise<void> {
  const present = streams.filter((stream) => stream !== null && stream !== undefined);
  await Promise.all(present.map(async (stream) => new Promise((resolve) => void stream.once('close', resolve))));
}

function fork(descriptors: readonly number[]): ChildProcess {
  const script = fileURLToPath(new URL('worker.js', import.meta.url));
  // Without Node's own channel, whose other end would accept descriptors and trust what it reads.
  return spawnChild(process.execPath, [...childArguments, script], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...descriptors],
  });
}
