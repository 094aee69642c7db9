import { closeSync, lstatSync, unlinkSync } from 'node:fs';
import { parseIp } from '../../address/ip-address.ts';
import { SmallservdError } from '../../errors.ts';
import {
  allowOverlap,
  bindUdp,
  boundTo,
  formatInetAddress,
  type InetAddress,
  interfaceIndexOf,
  listenTcp,
  listenUnix,
} from '../../kernel/sockets.ts';
import type { Config } from '../config/config.ts';
import type { BoundAddress, ListenTarget } from '../transport/listener.ts';
import { isFamilyMissing, openError, unservedError } from '../transport/open-error.ts';
import { findUnserved, type PlannedListener } from '../transport/plan.ts';
import { bindPrivately } from '../transport/unix-socket.ts';
import { overlaps, pairListeners } from './listener-changes.ts';

/** A listener whose socket is open. */
export interface OpenListener {
  readonly planned: PlannedListener;
  readonly descriptor: number;
  readonly bound: BoundAddress;
}

/** An open socket, and how to tell the file that it created from a later one. */
interface Held extends OpenListener {
  /** Inode of the file of a UNIX socket. */
  readonly file?: bigint;
}

/** For listeners that are no service's. The kernel allows at most net.core.somaxconn. */
const defaultBacklog = 511;

/** How services want their sockets opened. */
type SocketSettings = Pick<Config, 'services'>;

/**
 * The daemon's listening and UDP sockets. They belong to the supervisor for as long as the config has them, and workers
 * inherit copies. So whatever happens to workers, no port closes: clients and datagrams wait in the kernel.
 */
export class ListenerSockets {
  #held: readonly Held[] = [];

  /**
   * Opens the listeners of a plan. Those that are open already stay as they are. Skips listeners whose address family
   * this machine lacks. Throws the result of `openError` or `unservedError`, leaving open only what was.
   */
  open(plan: readonly PlannedListener[], config: SocketSettings = { services: [] }): readonly OpenListener[] {
    const twins = new Map(
      pairListeners(
        plan,
        this.#held.map(({ planned }) => planned),
      ),
    );
    const before = this.#held;
    const listeners: Held[] = [];
    try {
      for (const planned of plan) {
        const held = before.find((each) => each.planned === twins.get(planned));
        const listener = held === undefined ? this.#open(planned, config) : { ...held, planned };
        if (listener === undefined) continue;
        listeners.push(listener);
        this.#held = [...this.#held.filter((each) => each !== held), listener];
      }
      const open = new Set(listeners.map(({ planned }) => planned));
      const unserved = findUnserved(plan, (planned) => open.has(planned));
      if (unserved !== undefined) throw unservedError(unserved);
    } catch (error) {
      this.keep(before);
      throw error;
    }
    return listeners;
  }

  /** Closes all sockets but those of `listeners`. */
  keep(listeners: readonly OpenListener[]): void {
    const kept = new Map(listeners.map((each) => [each.descriptor, each.planned]));
    for (const held of this.#held) if (!kept.has(held.descriptor)) close(held);
    this.#held = this.#held.flatMap((held) => {
      const planned = kept.get(held.descriptor);
      return planned === undefined ? [] : [{ ...held, planned }];
    });
  }

  #open(planned: PlannedListener, config: SocketSettings): Held | undefined {
    const { target, service } = planned;
    try {
      // An inherited socket stays open when a reload lets go of it, so that a later one can have it again.
      if ('fd' in target) return { planned, descriptor: target.fd, bound: inheritedAddress(target) };
      const settings = config.services.find(({ name }) => name === service);
      const backlog = settings?.socket.backlog ?? defaultBacklog;
      if ('path' in target) return openUnix(planned, target.path, backlog);
      const address = inetAddressOf(target);
      const descriptor = this.#bind(planned, (mayOverlap) =>
        target.transport === 'tcp'
          ? listenTcp(address, backlog, mayOverlap)
          : bindUdp(address, settings?.datagram.receiveBufferBytes ?? 0, mayOverlap),
      );
      return { planned, descriptor, bound: addressOf(descriptor, target.transport) };
    } catch (error) {
      if (planned.optional && isFamilyMissing(error)) return undefined;
      throw error instanceof SmallservdError ? error : openError(planned, error);
    }
  }

  /** Binds, if need be next to one of our own sockets whose address overlaps and which is about to be closed. */
  #bind(planned: PlannedListener, bind: (mayOverlap: boolean) => number): number {
    try {
      return bind(false);
    } catch (error) {
      const others = this.#held.filter((each) => overlaps(planned, each.planned));
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || others.length === 0) throw error;
      const descriptors = others.map(({ descriptor }) => descriptor);
      try {
        // Only during the bind: this would allow the same to any other program of this user.
        for (const descriptor of descriptors) allowOverlap(descriptor, true);
        const descriptor = bind(true);
        descriptors.push(descriptor);
        return descriptor;
      } catch {
        const names = others.map(({ planned: { service, text } }) => `${service}: ${text}`).join(', ');
        const message = `${planned.service}: cannot listen on ${planned.text}: it overlaps with ${names}, which is open now`;
        throw new SmallservdError('LISTEN_IN_USE', message, { cause: error });
      } finally {
        for (const descriptor of descriptors) allowOverlap(descriptor, false);
      }
    }
  }
}

function openUnix(planned: PlannedListener, path: string, backlog: number): Held {
  let descriptor = -1;
  bindPrivately(() => {
    descriptor = listenUnix(path, backlog);
  });
  const file = lstatSync(path, { bigint: true }).ino;
  return { planned, descriptor, file, bound: { transport: 'unix', address: path, port: 0 } };
}

function inetAddressOf({ family, address, port }: Extract<ListenTarget, { port: number }>): InetAddress {
  const [, zone] = address.split('%');
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(`not an address: ${address}`);
  return { family, ip, port, interfaceIndex: zone === undefined ? 0 : interfaceIndexOf(zone) };
}

function inheritedAddress({ transport, fd }: Extract<ListenTarget, { fd: number }>): BoundAddress {
  const bound = addressOf(fd, transport);
  return bound.transport === 'unix' && bound.address === '' ? { ...bound, address: `fd ${fd}` } : bound;
}

function addressOf(descriptor: number, transport: BoundAddress['transport']): BoundAddress {
  const bound = boundTo(descriptor);
  if (bound.family === 'unix') return { transport: 'unix', address: bound.path, port: 0 };
  return { transport, address: formatInetAddress(bound), port: bound.port };
}

function close({ planned: { target }, descriptor, file }: Held): void {
  if ('fd' in target) return;
  if ('path' in target) removeFile(target.path, file);
  closeSync(descriptor);
}

/** Removes the file unless it was replaced. Whoever can replace it in between could have removed it as well. */
function removeFile(path: string, file: bigint | undefined): void {
  try {
    if (lstatSync(path, { bigint: true }).ino === file) unlinkSync(path);
  } catch {
    // It is gone, or may not be removed. A later start removes what nobody listens on.
  }
}
