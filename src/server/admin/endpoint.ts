import type { ChildProcess } from 'node:child_process';
import { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import { Deferred } from '../../deferred.ts';
import { SmallservdError } from '../../errors.ts';
import { Channel, channelDescriptor, type ChannelLimits, takeOnlyBytesOf } from '../supervisor/channel.ts';
import { spawnChild } from '../child-process.ts';
import { childArguments } from '../child-arguments.ts';
import { readActivity } from '../supervisor/activity.ts';
import { readComplaints } from '../supervisor/paced-lines.ts';
import type { Identity } from '../supervisor/identity.ts';
import { ListenerSockets, type OpenListener } from '../supervisor/listener-sockets.ts';
import { readReport } from '../supervisor/reports.ts';
import { watchOpenFilesLimit } from '../supervisor/open-files-watch.ts';
import { SilenceWatch } from '../supervisor/silence-watch.ts';
import { endReportMs } from '../supervisor/worker-process.ts';
import { readOpenFiles } from '../../open-files.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { SocketFiles } from '../transport/unix-socket.ts';
import { type AdminOrder, type AdminReport, adminReports } from './messages.ts';
import { fewNewcomers, newcomersFor } from './connections.ts';
import { openAdminServer } from './server.ts';
import type { AdminSource } from './live.ts';

export interface AdminEndpointOptions {
  readonly plan: readonly PlannedListener[];
  readonly hosts: readonly string[];
  /** The identity to serve as, or null for this process's own. */
  readonly identity: Identity | null;
  /** Whether this process also takes clients of services. */
  readonly hasClients: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An open endpoint. */
export interface AdminEndpoint {
  /** Resolves when the sockets are closed. */
  close(): Promise<void>;
}

/** How long the process may take to exit before it is killed. */
const closeMs = 500;

/** Delay before a dead process is replaced. */
const restartMs = 1000;

/** A process silent for this long counts as hanging, unless it is starved. */
const silentMs = 5000;

/** In the child, these descriptors follow the channel to the supervisor. */
const firstCopy = channelDescriptor + 1;

/**
 * The child reads answers promptly. Its questions about the snapshot, the config and the present are shared by all who
 * ask within `maxAgeMs`, and changes of faults are limited, so requests alone do not exceed this.
 */
const limits: ChannelLimits = {
  maxMessageBytes: 512 * 1024,
  messages: { burst: 300, perSecond: 300 },
  bytes: { burst: 2 * 2 ** 20, perSecond: 2 * 2 ** 20 },
};
const maxUnreadBytes = 64 * 2 ** 20;

interface AdminProcess {
  readonly child: ChildProcess;
  /** Undefined if the process could not be started. */
  readonly channel: Channel | undefined;
  readonly watch: SilenceWatch;
  /** Resolves with its end, or when the system ought to have reported that. */
  readonly ended: Deferred<void>;
  /** Cancel the timers that watch it. */
  readonly cancels: Cancel[];
  isGone: boolean;
}

interface AdminHandlers {
  heard(report: AdminReport): void;
  /** It sent an invalid report. */
  failed(): void;
  /** It has closed the channel. */
  closed(): void;
}

/** Opens the admin endpoint here or, if this process is root, in an unprivileged child. Rejects with its open error. */
export async function openAdminEndpoint(source: AdminSource, options: AdminEndpointOptions): Promise<AdminEndpoint> {
  const { plan, hosts, identity, hasClients, clock, log } = options;
  const files = new SocketFiles();
  await files.prepare(plan, identity?.uid);
  if (identity !== null) return openChild(source, { ...options, identity }, files);
  const newcomers = hasClients ? fewNewcomers : newcomersFor(readOpenFiles());
  const server = await openAdminServer(plan, source, hosts, newcomers, { clock, log, isStopping: () => false });
  try {
    files.grant(plan);
  } catch (error) {
    server.close();
    throw error;
  }
  return { close: async () => server.close() };
}

/**
 * The supervisor owns the sockets, until it exits: whatever happens to the child, they stay open and nobody else can
 * bind them.
 */
async function openChild(source: AdminSource, options: ChildOptions, files: SocketFiles): Promise<AdminEndpoint> {
  const sockets = new ListenerSockets();
  const { plan, clock, log } = options;
  const listeners = await sockets.open(plan, { clock, log, isStopping: () => false });
  let child: AdminChild | undefined;
  const close = async (): Promise<void> => {
    await child?.close();
    // The process is about to exit, which closes them.
    sockets.removeFiles();
  };
  try {
    files.grant(plan, sockets.files);
    child = new AdminChild(source, { ...options, plan: listeners.map(asInherited) });
    await child.opened.promise;
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

function asInherited({ planned, descriptor, bound }: OpenListener): PlannedListener {
  const transport = bound.transport === 'unix' ? 'unix' : 'tcp';
  return { ...planned, target: { transport, fd: descriptor, bound } };
}

type ChildOptions = AdminEndpointOptions & { readonly identity: Identity };

class AdminChild implements AdminEndpoint {
  /** Rejects if a listener cannot be opened initially. */
  readonly opened = new Deferred<void>();
  readonly #source: AdminSource;
  readonly #options: ChildOptions;
  #process: AdminProcess;
  #isOpen = false;
  #isClosed = false;

  constructor(source: AdminSource, options: ChildOptions) {
    this.#source = source;
    this.#options = options;
    this.#process = this.#fork();
  }

  /** Makes the process close its sockets and exit. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const { child, channel, watch, ended, cancels } = this.#process;
    watch.cancel();
    channel?.close();
    if (child.pid === undefined) return;
    cancels.push(this.#options.clock.after(closeMs, () => this.#kill(this.#process)));
    await ended.promise;
  }

  #kill(admin: AdminProcess): void {
    admin.child.kill('SIGKILL');
    this.#expectEnd(admin);
  }

  /** The system may never report the end of a process that another one traces. */
  #expectEnd(admin: AdminProcess): void {
    if (admin.isGone) return;
    const giveUp = (): void => {
      admin.child.kill('SIGKILL');
      this.#gone(admin, null, 'SIGKILL');
    };
    admin.cancels.push(this.#options.clock.after(endReportMs, giveUp));
  }

  #fork(): AdminProcess {
    const { plan, hosts, identity, clock, log } = this.#options;
    const descriptors = plan.flatMap(({ target }) => ('fd' in target ? [target.fd] : []));
    const script = fileURLToPath(new URL('child.js', import.meta.url));
    const child = spawnChild(process.execPath, [...childArguments, script], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...descriptors],
    });
    takeOnlyBytesOf(child.stderr);
    readComplaints(child.stderr, clock, (complaint) => log.error(complaint, 'admin process printed a line'));
    child.on('error', (error) => {
      log.warn({ err: error }, 'admin process unreachable');
      // A process that could not be started emits no `exit`.
      if (child.pid === undefined) this.#gone(admin, null, null);
    });
    child.on('exit', (exitCode, signal) => this.#gone(admin, exitCode, signal));
    const admin: AdminProcess = {
      child,
      channel: this.#open(child, {
        heard: (report) =>
          void this.#heard(admin, report).catch((error: unknown) => {
            if (admin.isGone || this.#isClosed) return;
            // Thrown further, it would end the daemon.
            log.error({ err: error }, 'cannot answer admin process, killing it');
            this.#kill(admin);
          }),
        failed: () => this.#kill(admin),
        closed: () => this.#expectEnd(admin),
      }),
      watch: new SilenceWatch({
        clock,
        patienceMs: silentMs,
        activity: () => (child.pid === undefined ? undefined : readActivity(child.pid)),
        hung: () => {
          log.error({}, 'admin process unresponsive, killing it');
          this.#kill(admin);
        },
      }),
      ended: new Deferred<void>(),
      cancels: [],
      isGone: false,
    };
    const lowered = (openFilesLimit: number): void => {
      log.error({ openFilesLimit }, 'limit on open files of admin process lowered, killing it');
      this.#kill(admin);
    };
    if (child.pid !== undefined) admin.cancels.push(watchOpenFilesLimit(child.pid, clock, lowered));
    const listeners = plan.map((planned) => asTheChildSeesIt(planned, descriptors));
    const canChange = this.#source.changeFaults !== undefined;
    this.#send(admin, { type: 'open', listeners, hosts, identity, canChange });
    return admin;
  }

  #open(child: ChildProcess, handlers: AdminHandlers): Channel | undefined {
    // If the system is out of descriptors, there is no process and Node leaves `stdio` undefined.
    const { stdio } = child as { readonly stdio?: readonly unknown[] };
    const socket = stdio?.[channelDescriptor];
    if (!(socket instanceof Duplex)) return undefined;
    const failed = (fault: string): void => {
      this.#options.log.error({ error: fault }, 'admin process sent an invalid report, killing it');
      handlers.failed();
    };
    // Not by our clock, which may leave out pauses of this process: the child goes on sending during them.
    return new Channel(socket, limits, () => systemClock.monotonicMs(), {
      heard(message) {
        if (child.killed) return undefined;
        const reading = readReport(adminReports, message);
        if ('fault' in reading) return reading.fault;
        handlers.heard(reading.report);
        return undefined;
      },
      failed,
      closed: () => handlers.closed(),
    });
  }

  #send(admin: AdminProcess, order: AdminOrder): void {
    const { channel } = admin;
    if (channel === undefined) return;
    // The child sends requests without reading the answers.
    if (channel.unsentBytes > maxUnreadBytes) this.#kill(admin);
    else channel.send(order);
  }

  async #heard(child: AdminProcess, report: AdminReport): Promise<void> {
    child.watch.heard();
    if (report.type === 'ask') {
      const value = await this.#source[report.what]();
      this.#send(child, { type: 'answer', id: report.id, value });
    } else if (report.type === 'change-faults') {
      const value = (await this.#source.changeFaults?.(report.change)) ?? { problem: 'not permitted' };
      this.#send(child, { type: 'answer', id: report.id, value });
    } else if (report.type === 'opened') {
      this.#isOpen = true;
      this.opened.resolve();
    } else if (report.type === 'failed') {
      this.#failed(child, new SmallservdError(report.code, report.message));
    }
  }

  #failed(child: AdminProcess, { code, message }: SmallservdError): void {
    if (this.#isOpen) {
      this.#options.log.error({ code, error: message }, 'cannot reopen admin endpoint, retrying');
      this.#kill(child);
    } else {
      void this.close();
      this.opened.reject(new SmallservdError(code, message));
    }
  }

  #gone(admin: AdminProcess, exitCode: number | null, signal: string | null): void {
    if (admin.isGone) return;
    admin.isGone = true;
    const { channel, watch, cancels, ended } = admin;
    ended.resolve();
    for (const cancel of cancels.splice(0)) cancel();
    // A grandchild left behind could still use the channel.
    channel?.close();
    watch.cancel();
    if (this.#isClosed) return;
    const { clock, log } = this.#options;
    log.error({ exitCode, signal }, 'admin process exited, restarting');
    clock.after(restartMs, () => {
      if (!this.#isClosed) this.#process = this.#fork();
    });
  }
}

/** Inherited descriptors are renumbered. */
function asTheChildSeesIt(planned: PlannedListener, descriptors: readonly number[]): PlannedListener {
  const { target } = planned;
  return 'fd' in target
    ? { ...planned, target: { ...target, fd: firstCopy + descriptors.indexOf(target.fd) } }
    : planned;
}
