import { closeSync } from 'node:fs';
import { SmallservdError } from '../../errors.ts';
import { allowOverlap, interfaceIndexOf } from '../../kernel/sockets.ts';
import type { ServiceConfig } from '../config/config.ts';
import { type FileId, fileIdAt } from '../transport/bound-file.ts';
import { closeSocket, type OpenSocket, openSocket, removeFile } from '../transport/open-socket.ts';
import { type OpenOptions, openWhenThere } from '../transport/open-when-there.ts';
import type { BoundAddress, ListenTarget } from '../transport/listener.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { closeElsewhere } from '../closing-process.ts';
import { FlowMemories } from './flow-memories.ts';
import { overlaps, pairListeners } from './listener-changes.ts';

/**
 * Root allows overlaps for good, before any worker has the socket: a worker that has it can hold its lock, and whoever
 * then sets an option waits with it. Only other programs of root could use that. They would have to ask for it, and
 * `#bind` at first does not.
 */
const isRoot = process.geteuid?.() === 0;

/** A listener whose socket is open. */
export interface OpenListener extends OpenSocket {
  readonly planned: PlannedListener;
  /** Descriptor of the memory for the flows of its proxies, if it has some. */
  readonly flowMemory?: number | undefined;
}

/**
 * The daemon's listening and UDP sockets. They belong to the supervisor for as long as the config has them, and workers
 * inherit copies. So whatever happens to workers, no port closes: clients and datagrams wait in the kernel.
 */
export class ListenerSockets {
  #held: ReadonlyMap<PlannedListener, OpenListener> = new Map();
  #closed: Promise<unknown> = Promise.resolve();
  /** Addresses of inherited sockets, by descriptor. */
  readonly #inherited = new Map<number, BoundAddress>();
  readonly #flowMemories = new FlowMemories();

  /**
   * Opens the listeners of a plan, and waits for addresses as `openWhenThere` does. Those that are open already stay as
   * they are. Throws the errors of `openWhenThere`, leaving open only what was.
   */
  async open(
    plan: readonly PlannedListener[],
    options: OpenOptions,
    services: readonly ServiceConfig[] = [],
  ): Promise<readonly OpenListener[]> {
    const twins = new Map(pairListeners(plan, [...this.#held.keys()]));
    const settings = new Map(services.map((service) => [service.name, service]));
    const opened: OpenListener[] = [];
    const open = (planned: PlannedListener): OpenListener => {
      const twin = twins.get(planned);
      const held = twin === undefined ? undefined : this.#held.get(twin);
      if (held !== undefined && isInPlace(held)) return { ...held, planned };
      const listener = this.#open(planned, settings.get(planned.service));
      opened.push(listener);
      // From now on, whatever closes all sockets closes this one.
      this.#held = new Map([...this.#held, [planned, listener]]);
      return listener;
    };
    try {
      const listeners = await openWhenThere(plan, open, options);
      return plan
        .flatMap((planned) => listeners.get(planned) ?? [])
        .map((listener) => this.#withFlowMemory(listener, settings.get(listener.planned.service)));
    } catch (error) {
      this.#close(opened);
      throw error;
    }
  }

  /**
   * Resolves when the sockets that `keep` let go of are closed. Until then their addresses may be in use.
   */
  get closed(): Promise<unknown> {
    return this.#closed;
  }

  /** The files that the UNIX sockets created, by path. */
  get files(): ReadonlyMap<string, FileId> {
    const files = [...this.#held.values()].map(({ bound, file }) => [bound.address, file] as const);
    return new Map(files.filter((each): each is [string, FileId] => each[1] !== undefined));
  }

  /** Lets go of all sockets but those of `listeners`, which `open` returned. */
  keep(listeners: readonly OpenListener[]): void {
    const kept = new Set(listeners.map(({ descriptor }) => descriptor));
    const others = [...this.#held.values()].filter((held) => !kept.has(held.descriptor) && isOurs(held));
    this.#keepFlowMemories(listeners);
    this.#held = new Map(listeners.map((each) => [each.planned, each]));
    for (const { bound, file } of others) if (file !== undefined) removeFile(bound.address, file);
    const [datagram, stream] = [true, false].map((isDatagram) =>
      others.filter(({ bound }) => (bound.transport === 'udp') === isDatagram).map(({ descriptor }) => descriptor),
    );
    for (const descriptor of datagram ?? []) closeSync(descriptor);
    this.#closed = Promise.all([this.#closed, closeElsewhere(stream ?? [])]);
  }

  /**
   * Removes the files of UNIX sockets, before the process exits. Nothing is closed: what waits in a listener could make
   * its last close wait, but not the exit.
   */
  removeFiles(): void {
    for (const { bound, file } of this.#held.values()) if (file !== undefined) removeFile(bound.address, file);
  }

  #open(planned: PlannedListener, service: ServiceConfig | undefined): OpenListener {
    const target = this.#known(planned.target);
    const settings = { backlog: service?.socket.backlog, receiveBufferBytes: service?.datagram.receiveBufferBytes };
    const socket = this.#bind(planned, (mayOverlap) => openSocket(target, { ...settings, mayOverlap }));
    if ('fd' in target) this.#inherited.set(target.fd, socket.bound);
    else if (isRoot && socket.bound.transport !== 'unix') allowOverlap(socket.descriptor, true);
    return { planned, ...socket };
  }

  #withFlowMemory(listener: OpenListener, service: ServiceConfig | undefined): OpenListener {
    const hasProxies = service !== undefined && service.proxy.from.length > 0;
    const hasFlows = hasProxies && listener.planned.target.transport === 'udp';
    return { ...listener, flowMemory: hasFlows ? this.#flowMemories.of(listener.descriptor) : undefined };
  }

  #keepFlowMemories(listeners: Iterable<OpenListener>): void {
    const withFlows = [...listeners].filter(({ flowMemory }) => flowMemory !== undefined);
    this.#flowMemories.keep(new Set(withFlows.map(({ descriptor }) => descriptor)));
  }

  /** An inherited socket that was open before is not asked for its address again: a worker can hold its lock. */
  #known(target: ListenTarget): ListenTarget {
    if (!('fd' in target)) return target;
    const bound = this.#inherited.get(target.fd);
    return bound === undefined ? target : { ...target, bound };
  }

  /** Closes those that are still held. */
  #close(listeners: readonly OpenListener[]): void {
    const held = new Map(this.#held);
    for (const listener of listeners) {
      if (held.get(listener.planned) !== listener) continue;
      held.delete(listener.planned);
      if (isOurs(listener)) closeSocket(listener);
    }
    this.#held = held;
    this.#keepFlowMemories(held.values());
  }

  /** Binds, if need be next to one of our own sockets whose address overlaps and which is about to be closed. */
  #bind(planned: PlannedListener, bind: (mayOverlap: boolean) => OpenSocket): OpenSocket {
    try {
      return bind(false);
    } catch (error) {
      const others = [...this.#held.values()].filter((each) => overlaps(planned, each.planned));
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || others.length === 0) throw error;
      const descriptors = others.map(({ descriptor }) => descriptor);
      try {
        // Only during the bind: this would allow the same to any other program of this user.
        if (!isRoot) for (const descriptor of descriptors) allowOverlap(descriptor, true);
        const socket = bind(true);
        descriptors.push(socket.descriptor);
        return socket;
      } catch {
        const names = others.map(({ planned: { service, text } }) => `${service}: ${text}`).join(', ');
        const message = `${planned.service}: cannot listen on ${planned.text}: it overlaps with ${names}, which is open now`;
        throw new SmallservdError('LISTEN_IN_USE', message, { cause: error });
      } finally {
        if (!isRoot) for (const descriptor of descriptors) allowOverlap(descriptor, false);
      }
    }
  }
}

/** An inherited socket stays open when a reload lets go of it, so that a later one can have it again. */
function isOurs({ planned }: OpenListener): boolean {
  return !('fd' in planned.target);
}

/**
 * Whether clients can still find it: anyone who may write to the directory can remove the file of a UNIX socket, and an
 * interface can be deleted, and made again with the same name. The socket itself is not asked: a worker can hold its
 * lock.
 */
function isInPlace({ bound, file, interfaceIndex = 0 }: OpenListener): boolean {
  if (file !== undefined) return fileIdAt(bound.address) !== undefined;
  return interfaceIndex === 0 || indexOf(bound.address.split('%')[1] ?? '') === interfaceIndex;
}

/** Returns 0 if there is no such interface. */
function indexOf(name: string): number {
  try {
    return interfaceIndexOf(name);
  } catch {
    return 0;
  }
}
