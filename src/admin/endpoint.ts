import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import { SmallservdError } from '../errors.ts';
import type { Identity } from '../supervisor/identity.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { SocketFiles } from '../transport/unix-socket.ts';
import { openAdminServers } from './listeners.ts';
import type { AdminOrder, AdminReport } from './messages.ts';
import type { SnapshotSource } from './snapshot.ts';

export interface AdminEndpointOptions {
  readonly plan: readonly PlannedListener[];
  readonly hosts: readonly string[];
  /** Whom the endpoint is served as; null: by this process. */
  readonly identity: Identity | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An endpoint that is open. */
export interface AdminEndpoint {
  close(): void;
}

/** How soon a process that died is replaced. */
const restartMs = 1000;

/** In the child: standard input, output and error, and the IPC channel come first. */
const firstCopy = 4;

/** Opens the admin endpoint, in this process or, where that is root, in an unprivileged child. Rejects with the error of a listener. */
export async function openAdminEndpoint(source: SnapshotSource, options: AdminEndpointOptions): Promise<AdminEndpoint> {
  const { plan, hosts, identity } = options;
  const sockets = new SocketFiles(identity?.uid);
  await sockets.prepare(plan);
  if (identity !== null) {
    const child = new AdminChild(source, options, identity, sockets);
    await child.opened;
    return child;
  }
  const servers = await openAdminServers(plan, source, hosts);
  const close = (): void => {
    for (const server of servers) server.close();
  };
  try {
    sockets.grant(plan);
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

class AdminChild implements AdminEndpoint {
  /** Rejects where a listener cannot be opened the first time. */
  readonly opened: Promise<void>;
  readonly #source: SnapshotSource;
  readonly #options: AdminEndpointOptions;
  readonly #identity: Identity;
  readonly #sockets: SocketFiles;
  #process: ChildProcess;
  #isOpen = false;
  #isClosed = false;
  #resolveOpened: () => void = () => {};
  #rejectOpened: (error: Error) => void = () => {};

  constructor(source: SnapshotSource, options: AdminEndpointOptions, identity: Identity, sockets: SocketFiles) {
    this.#source = source;
    this.#options = options;
    this.#identity = identity;
    this.#sockets = sockets;
    this.opened = new Promise((resolve, reject) => {
      this.#resolveOpened = resolve;
      this.#rejectOpened = reject;
    });
    this.#process = this.#fork();
  }

  /** The process closes its sockets, and ends. */
  close(): void {
    this.#isClosed = true;
    if (this.#process.connected) this.#process.disconnect();
  }

  #fork(): ChildProcess {
    const { plan, hosts, log } = this.#options;
    const descriptors = plan.flatMap(({ target }) => ('fd' in target ? [target.fd] : []));
    const child = fork(fileURLToPath(new URL('child.js', import.meta.url)), [], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc', ...descriptors],
      serialization: 'advanced',
      execArgv: [],
    });
    child.on('message', (report: AdminReport) => void this.#heard(child, report));
    child.on('error', (error) => log.warn({ err: error }, 'the admin process cannot be reached'));
    child.on('exit', (exitCode, signal) => this.#gone(exitCode, signal));
    const listeners = plan.map((planned) => asTheChildSeesIt(planned, descriptors));
    send(child, { type: 'open', listeners, hosts, identity: this.#identity });
    return child;
  }

  async #heard(child: ChildProcess, report: AdminReport): Promise<void> {
    if (report.type === 'ask') {
      const value = report.what === 'config' ? await this.#source.config() : await this.#source.snapshot();
      send(child, { type: 'answer', id: report.id, value });
    } else if (report.type === 'opened') {
      this.#letIn(child);
    } else {
      this.#failed(child, new SmallservdError(report.code, report.message));
    }
  }

  /** Whom the socket is meant for, only root can say. */
  #letIn(child: ChildProcess): void {
    try {
      this.#sockets.grant(this.#options.plan);
      this.#isOpen = true;
      this.#resolveOpened();
    } catch (error) {
      this.#failed(
        child,
        error instanceof SmallservdError ? error : new SmallservdError('LISTEN_FAILED', String(error)),
      );
    }
  }

  #failed(child: ChildProcess, { code, message }: SmallservdError): void {
    if (this.#isOpen) {
      this.#options.log.error({ code }, message);
      child.kill('SIGKILL');
    } else {
      this.close();
      this.#rejectOpened(new SmallservdError(code, message));
    }
  }

  #gone(exitCode: number | null, signal: string | null): void {
    if (this.#isClosed) return;
    const { clock, log } = this.#options;
    log.error({ exitCode, signal }, 'the admin process died; another one follows');
    clock.after(restartMs, () => void this.#replace());
  }

  async #replace(): Promise<void> {
    // The dead one has left its UNIX socket. Where that cannot be removed, the next one says what is in its way.
    await this.#sockets.prepare(this.#options.plan).catch(() => {});
    if (!this.#isClosed) this.#process = this.#fork();
  }
}

/** Descriptors are inherited under numbers of their own. Under our umask it binds a UNIX socket that is its alone until we give it away. */
function asTheChildSeesIt(planned: PlannedListener, descriptors: readonly number[]): PlannedListener {
  const { target } = planned;
  if ('path' in target) return { ...planned, target: { transport: target.transport, path: target.path } };
  return 'fd' in target
    ? { ...planned, target: { ...target, fd: firstCopy + descriptors.indexOf(target.fd) } }
    : planned;
}

function send(child: ChildProcess, order: AdminOrder): void {
  if (child.connected) child.send(order, () => {});
}
