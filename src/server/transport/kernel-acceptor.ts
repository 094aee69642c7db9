import { constants } from 'node:os';
import { SubordinateIds } from '../../address/subordinate-ids.ts';
import { setNonBlocking } from '../../kernel/descriptors.ts';
import { readPeerCredentials } from '../../kernel/peer-credentials.ts';
import { exclusive, readable, readiness, type Watcher } from '../../kernel/readiness.ts';
import { bringsDescriptors } from '../../kernel/sent-descriptors.ts';
import { setStreamOptions } from '../../kernel/sockets.ts';
import { isWait, streams } from '../../kernel/streams.ts';
import { systemError } from '../../kernel/system-error.ts';
import type { Acceptor, AcceptorOptions } from './acceptor.ts';
import { KernelStreamSocket } from './kernel-stream-socket.ts';
import type { BoundAddress } from './listener.ts';
import { closeSocket, type OpenSocket, openSocket } from './open-socket.ts';
import { closeUnread } from './unread-clients.ts';

/** Clients accepted in one turn of the event loop. Then others get their turn, in this worker and in the next. */
const clientsPerTurn = 16;

/** How long nothing is accepted after the system has run out of something. The clients wait meanwhile. */
const shortageMs = 100;

/** How long clients are left to other processes, before it is looked again whether they should be. */
const leaveMs = 20;

/** Errors of a single client, which is gone. See accept(2), Error handling. */
const goneErrors = new Set(
  [
    'ECONNABORTED',
    'EPERM',
    'EPROTO',
    'ENETDOWN',
    'ENOPROTOOPT',
    'EHOSTDOWN',
    'ENONET',
    'EHOSTUNREACH',
    'EOPNOTSUPP',
    'ENETUNREACH',
  ].flatMap((name) => {
    const number = (constants.errno as Readonly<Record<string, number>>)[name];
    return number === undefined ? [] : [-number];
  }),
);

/** Accepts clients from a direct listening socket, which several workers may share. */
export class KernelAcceptor implements Acceptor, Watcher {
  readonly #options: AcceptorOptions;
  /** Undefined for TCP. */
  readonly #subordinateIds: SubordinateIds | undefined;
  #opened: OpenSocket | undefined;
  /** Its number in the epoll set; undefined if it is closed, or accepts nothing for a while. */
  #watched: number | undefined;
  #isShort = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    if (options.target.transport === 'unix') this.#subordinateIds = SubordinateIds.read();
  }

  get isOpen(): boolean {
    return this.#opened !== undefined;
  }

  async open(): Promise<BoundAddress> {
    const { target, socket } = this.#options;
    const opened = openSocket(target, { backlog: socket.backlog });
    const { descriptor, bound } = opened;
    try {
      // An inherited socket may block, and would if another worker takes the client first.
      setNonBlocking(descriptor);
      if (target.transport === 'tcp') setStreamOptions(descriptor, socket);
      this.#watched = readiness().watch(descriptor, readable | exclusive, this);
    } catch (error) {
      closeSocket(opened);
      throw error;
    }
    this.#opened = opened;
    return bound;
  }

  close(): void {
    const opened = this.#opened;
    if (opened === undefined) return;
    this.#opened = undefined;
    if (this.#watched !== undefined) readiness().unwatch(this.#watched, opened.descriptor);
    this.#watched = undefined;
    closeSocket(opened);
  }

  /** Called when clients wait. */
  ready(): void {
    for (let count = 0; count < clientsPerTurn && this.#opened !== undefined; count += 1) {
      if (this.#options.events.leavesToOthers()) {
        this.#pause(leaveMs);
        return;
      }
      const descriptor = streams().accept(this.#opened.descriptor);
      if (descriptor >= 0) this.#accepted(descriptor);
      else if (!goneErrors.has(descriptor)) {
        if (isWait(descriptor)) this.#isShort = false;
        else this.#endure(descriptor);
        return;
      }
    }
    this.#isShort = false;
  }

  #accepted(descriptor: number): void {
    const { events, readsTcpInfo } = this.#options;
    const { peer } = streams();
    if (this.#subordinateIds !== undefined && bringsDescriptors(descriptor)) {
      closeUnread(descriptor);
      return;
    }
    const socket = new KernelStreamSocket(descriptor, this.#subordinateIds === undefined, readsTcpInfo);
    if (this.#subordinateIds === undefined) {
      events.connected(socket, peer.source, peer.port);
      return;
    }
    const uid = readPeerCredentials(descriptor)?.uid;
    events.connectedLocally(socket, { uid: uid === undefined ? undefined : this.#subordinateIds.ownerOf(uid) });
  }

  /** No descriptor or memory is left: the clients stay in the backlog, and the event loop must not spin. */
  #endure(error: number): void {
    if (!this.#isShort) this.#options.events.failed(systemError('accept4', -error));
    this.#isShort = true;
    this.#pause(shortageMs);
  }

  #pause(ms: number): void {
    if (this.#watched === undefined || this.#opened === undefined) return;
    readiness().unwatch(this.#watched, this.#opened.descriptor);
    this.#watched = undefined;
    this.#options.clock.after(ms, () => this.#watchAgain());
  }

  #watchAgain(): void {
    if (this.#opened === undefined) return;
    try {
      this.#watched = readiness().watch(this.#opened.descriptor, readable | exclusive, this);
    } catch {
      // The system is still short of memory.
      this.#options.clock.after(shortageMs, () => this.#watchAgain());
    }
  }
}
