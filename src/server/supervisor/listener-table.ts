import type { ListenerState, RunningListener } from '../running-daemon.ts';
import { type BoundAddress, formatBoundAddress } from '../transport/listener.ts';
import { datagramPortsOf, findUnserved, type PlannedListener } from '../transport/plan.ts';
import { pairListeners } from './listener-changes.ts';
import { channelDescriptor } from './channel.ts';
import type { ListenerRequest } from './cluster-requests.ts';
import type { Opened } from './reports.ts';

/** In a worker: follows the channel to its supervisor. */
const firstCopy = channelDescriptor + 1;

/** libuv's flag for a socket that does not accept IPv4: UV_TCP_IPV6ONLY and UV_UDP_IPV6ONLY. */
const ipv6Only = 1;

/** Selects which of a table's listeners a worker must open. */
export interface Selection {
  readonly streams: boolean;
  /** `early`: listeners that can be open together with an older generation's. `late`: the rest. */
  readonly when: 'early' | 'late' | 'any';
}

/** The planned listeners, where workers have bound them, and which of them a worker must open, and on what. */
export class ListenerTable {
  readonly plan: readonly PlannedListener[];
  readonly #bound = new Map<number, BoundAddress>();
  /** Listeners whose system-chosen port is requested by number from now on. */
  readonly #pinned = new Set<number>();
  /** Listeners that an older generation holds open in a way that cannot be shared. */
  readonly #late = new Set<number>();
  /** Where an older generation bound listeners that this one must open. */
  readonly #inherited = new Map<number, BoundAddress>();
  /** Listeners that an older generation also has open. */
  readonly #kept = new Set<number>();

  constructor(plan: readonly PlannedListener[]) {
    this.plan = plan;
  }

  /** Returns the table of a plan that takes over from this one. System-chosen ports stay the same. */
  successor(plan: readonly PlannedListener[]): ListenerTable {
    const table = new ListenerTable(plan);
    for (const [next, old] of pairListeners(plan, this.plan)) {
      table.#kept.add(next.id);
      if (this.#pinned.has(old.id)) table.#pinned.add(next.id);
      const bound = this.#bound.get(old.id) ?? this.#inherited.get(old.id);
      if (bound === undefined) continue;
      table.#inherited.set(next.id, bound);
      if (isDatagram(old) && 'port' in old.target && old.target.port === 0) table.#late.add(next.id);
    }
    return table;
  }

  /** Services with UDP sockets, in the order of the plan. */
  get datagramServices(): readonly string[] {
    return [...new Set(this.plan.filter(isDatagram).map(({ service }) => service))];
  }

  /** UDP ports named in the plan or chosen by the system. */
  get datagramPorts(): readonly number[] {
    const bound = [...this.#bound.values()].filter(({ transport }) => transport === 'udp').map(({ port }) => port);
    return [...new Set([...datagramPortsOf(this.plan), ...bound])];
  }

  /** Inherited UDP sockets. Workers get copies of these descriptors, in this order. */
  get inheritedDatagrams(): readonly number[] {
    return this.plan.flatMap(({ target }) => (target.transport === 'udp' && 'fd' in target ? [target.fd] : []));
  }

  get hasInheritedStreams(): boolean {
    return this.plan.some(({ target }) => target.transport !== 'udp' && 'fd' in target);
  }

  get running(): readonly RunningListener[] {
    return this.plan.flatMap(({ id, service }) => {
      const bound = this.#bound.get(id);
      return bound === undefined ? [] : [{ service, ...bound }];
    });
  }

  /** All bound listeners, and whether they are open now. */
  states(isOpen: (planned: PlannedListener) => boolean): readonly ListenerState[] {
    return this.plan.flatMap((planned) => {
      const bound = this.#bound.get(planned.id) ?? this.#inherited.get(planned.id);
      if (bound === undefined) return [];
      return [{ service: planned.service, address: formatBoundAddress(bound), isOpen: isOpen(planned) }];
    });
  }

  /** Listeners that no worker could open because the machine lacks their address family. */
  get skipped(): readonly PlannedListener[] {
    return this.plan.filter(({ id }) => !this.#bound.has(id));
  }

  /**
   * Returns what a worker must open: the UDP sockets of some services, and the stream listeners if it has none yet. New
   * listeners come first, so that failures show before the kept ones accept clients.
   */
  toOpen(datagramServices: ReadonlySet<string>, { streams, when }: Selection): readonly PlannedListener[] {
    const chosen = this.plan.filter(
      (each) =>
        (isDatagram(each) ? datagramServices.has(each.service) : streams) &&
        (when === 'any' || (when === 'late') === this.#late.has(each.id)),
    );
    const isNew = ({ id }: PlannedListener): boolean => !this.#kept.has(id);
    return [...chosen.filter(isNew), ...chosen.filter((each) => !isNew(each))].map((each) =>
      this.#asWorkersSeeIt(each),
    );
  }

  /** Notes where listeners are bound. Returns true if a UDP port is new. */
  record(opened: readonly Opened[]): boolean {
    let fresh = false;
    for (const { id, bound: reported } of opened) {
      if (reported === null) continue;
      const bound = this.#where(id, reported);
      fresh ||= bound.transport === 'udp' && !this.#bound.has(id);
      this.#bound.set(id, bound);
      // One process holds a UDP socket at a time, and the next requests the same port.
      if (bound.transport === 'udp') this.#pinned.add(id);
    }
    return fresh;
  }

  /** A listener of a service that nobody serves because the machine lacks all its address families. */
  get unserved(): PlannedListener | undefined {
    return findUnserved(this.plan, ({ id }) => this.#bound.has(id) || this.#late.has(id));
  }

  /** Requests system-chosen ports by number from now on. */
  pinPorts(): void {
    for (const id of this.#bound.keys()) this.#pinned.add(id);
  }

  /** Whether node:cluster's request from a worker is for one of these listeners. */
  isPlanned({ address, port, addressType, fd, flags }: ListenerRequest): boolean {
    const isByDescriptor = (fd ?? -1) !== -1;
    return this.plan.some(({ id, target }) => {
      // The primary asserts that only the descriptor is named.
      if ('fd' in target)
        return (
          target.transport !== 'udp' &&
          fd === target.fd &&
          [address, port, addressType].every((each) => (each ?? null) === null)
        );
      if (isByDescriptor) return false;
      if ('path' in target) return addressType === -1 && address === target.path && port === -1;
      const isIpv6 = target.family === 'ipv6';
      const family = isIpv6 ? 6 : 4;
      const ports = [target.port, this.#bound.get(id)?.port, this.#inherited.get(id)?.port];
      return (
        addressType === (target.transport === 'tcp' ? family : (`udp${family}` as const)) &&
        address === target.address &&
        typeof port === 'number' &&
        ports.includes(port) &&
        // An IPv6 socket that also accepts IPv4 would listen on more than the plan says.
        (flags ?? 0) === (isIpv6 ? ipv6Only : 0)
      );
    });
  }

  /** Trusts no more of a worker's report than necessary. A listener stays where it was first bound. */
  #where(id: number, reported: BoundAddress): BoundAddress {
    const known = this.#bound.get(id);
    if (known !== undefined) return known;
    const target = this.plan.find((each) => each.id === id)?.target;
    if (target === undefined || 'fd' in target) return reported;
    const address = 'path' in target ? target.path : target.address;
    return { transport: target.transport, address, port: reported.port };
  }

  #asWorkersSeeIt(planned: PlannedListener): PlannedListener {
    const { id, target } = planned;
    if (target.transport === 'udp' && 'fd' in target)
      return { ...planned, target: { ...target, fd: firstCopy + this.inheritedDatagrams.indexOf(target.fd) } };
    // The primary binds it, and the supervisor sets its owner and mode.
    if ('path' in target) return { ...planned, target: { transport: target.transport, path: target.path } };
    const bound = this.#pinned.has(id) ? (this.#bound.get(id) ?? this.#inherited.get(id)) : undefined;
    if (bound === undefined || !('port' in target)) return planned;
    return { ...planned, target: { ...target, port: bound.port } };
  }
}

function isDatagram({ target }: PlannedListener): boolean {
  return target.transport === 'udp';
}
