import type { AccessRules, StreamLimits } from './limits.ts';
import { isDenied, isExempt } from './access-list.ts';
import type { DescriptorShare } from './descriptor-budget.ts';
import { isUnixUser, type Source, type SourceKey, SourceMask } from './source-prefix.ts';
import { networkPrefixes, type Place, SourceTree, type TopSource } from './source-tree.ts';
import { Reservation, Reservations, type WaitingProxy } from './reservations.ts';
import type { Newcomer } from './shared-room.ts';
import type { IpAddress } from '../../address/ip-address.ts';
import type { SharedLimits } from './shared-limits.ts';
import { SharedPlaces } from './shared-places.ts';
import { TokenTable } from './token-bucket.ts';

/**
 * Why a stream client is refused, in the order of the checks. `proxy-header`: the peer is not a trusted proxy, or its
 * header is missing or invalid.
 */
export type RefuseReason = 'proxy-header' | 'denied' | 'limit' | 'source-limit' | 'rate';

/** Reasons that a dry run only counts. */
export type WouldRefuseReason = Extract<RefuseReason, 'limit' | 'source-limit' | 'rate'>;

/** The connections of a source: `192.0.2.7`, `2001:db8::/64`, `fe80::1%eth0` or `unix:1000`. */
export interface SourceCount {
  readonly source: string;
  readonly connections: number;
}

export interface AdmissionOptions {
  readonly limits: StreamLimits;
  readonly access: AccessRules;
  readonly descriptors: DescriptorShare;
  /** Returns numbers from 0 up to, but not including, 1. */
  readonly random: () => number;
  /** If several processes serve these clients: what they share, so that the limits hold for all of them together. */
  readonly shared?: SharedLimits | undefined;
  /** Returns the name of an interface by its index. */
  readonly nameOfZone: (zone: number) => string;
  /** Called for each client admitted only because of the dry run. */
  readonly onWouldRefuse: (reason: WouldRefuseReason) => void;
}

/** How many of the largest sources of this process are considered when one of them must make room. */
const candidates = 16;

/**
 * Decides which stream clients of a service are admitted. A source is an IPv4 address, an IPv6 /64 (configurable), a
 * link-local IPv6 host or a UNIX user, to which no CIDR rule applies. Limits refuse the client that exceeds them, never
 * the entire service. If the service is full, a newcomer replaces a client of a source that has more connections.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #mask: SourceMask;
  readonly #rates: TokenTable;
  /** Undefined if this is the only process. */
  readonly #others: SharedPlaces | undefined;
  /** The most connections for each network in `networkPrefixes`. */
  readonly #networkLimits: readonly number[];
  /** Clients subject to per-source limits, which may be evicted. */
  readonly #bound: SourceTree;
  readonly #exempt: SourceTree;
  readonly #reservations = new Reservations();

  constructor(options: AdmissionOptions) {
    const { limits, random, shared } = options;
    this.#options = options;
    this.#mask = new SourceMask(limits.sourcePrefix);
    this.#rates =
      shared === undefined
        ? TokenTable.own(limits.connectionRate, random)
        : new TokenTable(limits.connectionRate, shared.hash, shared.connectionRates);
    this.#others = shared === undefined ? undefined : new SharedPlaces(shared.counts, shared.hash);
    this.#networkLimits = networkPrefixes.map((prefix) => {
      const percent = limits.networkShare[`ipv6Prefix${prefix}`];
      return percent === 100 ? Infinity : Math.ceil((limits.maxConnections * percent) / 100);
    });
    this.#bound = new SourceTree(limits.sourcePrefix.ipv6);
    this.#exempt = new SourceTree(limits.sourcePrefix.ipv6, true);
  }

  /** Connections admitted but not yet released. */
  get active(): number {
    return this.#bound.size + this.#exempt.size;
  }

  /** The `count` sources with the most connections, largest first. */
  topSources(count: number): readonly SourceCount[] {
    const sums = new Map<string, number>();
    for (const { source: key, size } of [...this.#bound.sources(), ...this.#exempt.sources()]) {
      const source = this.#mask.format(key, this.#options.nameOfZone);
      sums.set(source, (sums.get(source) ?? 0) + size);
    }
    const sources = [...sums].map(([source, connections]) => ({ source, connections }));
    return sources.sort((one, other) => other.connections - one.connections).slice(0, count);
  }

  /**
   * Whether another process should take the next client: the service is full, and others hold clients of a much larger
   * source. Call before a client is accepted.
   */
  leavesToOthers(newcomer: Newcomer): boolean {
    const { limits, shared } = this.#options;
    if (shared === undefined || limits.dryRun || this.#hasRoom) return false;
    const connections = this.noteLargest()[newcomer];
    return shared.room.isElsewhere(newcomer, connections);
  }

  /** Tells the other processes who is the largest here, and returns that. Call every `roomPeriodMs`. */
  noteLargest(): Readonly<Record<Newcomer, number>> {
    const proxied = this.#largestProxy()?.connections ?? 0;
    const direct = Math.max(proxied, this.#largestSource()?.connections ?? 0);
    this.#options.shared?.room.note(direct, proxied);
    return { direct, proxied };
  }

  /**
   * Returns a place, which must be passed to `release`, or the reason for refusal. If the service has no place or
   * descriptor left, a client of the largest source may be evicted before this returns. Times are monotonic
   * milliseconds, 0 or more. `isProxied`: the client came through a proxy, which may speak for anyone.
   */
  admit(source: Source, nowMs: number, isProxied: boolean = false): Place | RefuseReason {
    const { limits, access, descriptors, onWouldRefuse } = this.#options;
    const address = isUnixUser(source) ? undefined : source;
    if (address !== undefined && isDenied(access, address)) return 'denied';
    const key = this.#mask.keyOf(source);
    const { dryRun } = limits;
    const victim = this.#hasRoom || dryRun ? undefined : this.#victimFor(key);
    // Not even a dry run can exceed the available descriptors.
    if (victim === undefined && !descriptors.take()) return 'limit';
    const exempt = address !== undefined && isExempt(access, address, isProxied);
    const exceeded = this.#take(victim === undefined) ?? (exempt ? undefined : this.#takeOfSource(key, nowMs));
    if (exceeded !== undefined && !dryRun) {
      if (victim === undefined) {
        descriptors.release();
        if (exceeded !== 'limit') this.#others?.release();
      }
      return exceeded;
    }
    if (exceeded !== undefined) {
      onWouldRefuse(exceeded);
      this.#exceed(exceeded, key, exempt);
    }
    if (victim !== undefined) this.#takeOver(victim);
    this.#others?.addAtTop(key);
    const place = (exempt ? this.#exempt : this.#bound).add(key);
    this.#noteIfFull();
    return place;
  }

  /** Frees the place and descriptor of a closed connection. Repeated calls for a place have no effect. */
  release(place: Place): void {
    if (!this.#leave(place)) return;
    this.#options.descriptors.release();
    this.#others?.release();
  }

  /**
   * Reserves a place for a client of a proxy whose source is not known yet. Returns a reservation, for which `cancel`
   * must be called before `admit`, or the reason for refusal. Evicts no client, because there is no source to compare
   * with, but the oldest reservation of a proxy that has more of them than this one.
   */
  reserve(proxy: IpAddress): Reservation | RefuseReason {
    const { limits, descriptors } = this.#options;
    const victim = this.#hasRoom || limits.dryRun ? undefined : this.#reservationFor(proxy);
    if (victim === undefined) {
      if (this.#take(true) !== undefined) {
        if (!limits.dryRun) return 'limit';
        this.#others?.add();
      }
      if (!descriptors.take()) {
        this.#others?.release();
        return 'limit';
      }
    } else this.#takeOver(victim);
    this.#others?.addOfProxy(proxy);
    const reservation = this.#reservations.add(proxy);
    this.#noteIfFull();
    return reservation;
  }

  /** Returns the place from `reserve`. Repeated calls for a reservation have no effect. */
  cancel(reservation: Reservation): void {
    if (!this.#remove(reservation)) return;
    this.#options.descriptors.release();
    this.#others?.release();
  }

  get #hasRoom(): boolean {
    return !this.#isFull && this.#options.descriptors.isLeft();
  }

  get #isFull(): boolean {
    return this.#here + (this.#others?.others ?? 0) >= this.#options.limits.maxConnections;
  }

  /** Places taken in this process. */
  get #here(): number {
    return this.active + this.#reservations.size;
  }

  /** Takes a place in the service, if the newcomer does not get that of another. */
  #take(isNeeded: boolean): 'limit' | undefined {
    if (!isNeeded) return undefined;
    const { maxConnections } = this.#options.limits;
    const isLeft = this.#others?.take(this.#here, maxConnections) ?? this.#here < maxConnections;
    return isLeft ? undefined : 'limit';
  }

  /** Takes a place of the source and of the surrounding networks. Returns the limit that this would exceed. */
  #takeOfSource(source: SourceKey, nowMs: number): WouldRefuseReason | undefined {
    const sizes = this.#bound.sizesOf(source);
    const limits = [...this.#networkLimits.slice(0, sizes.length - 1), this.#options.limits.maxConnectionsPerSource];
    const isLeft =
      this.#others?.takeSource(source, sizes, limits) ?? sizes.every((size, level) => size < limits[level]!);
    if (!isLeft) return 'source-limit';
    const { high, low, hostHigh, hostLow } = source;
    const ratesNowMs = this.#options.shared?.nowMs() ?? nowMs;
    if (this.#rates.take(high, low, ratesNowMs, hostHigh, hostLow)) return undefined;
    this.#others?.releaseSource(source, sizes.length);
    return 'rate';
  }

  /** Counts a client in a dry run that has not got what it needed. */
  #exceed(exceeded: WouldRefuseReason, source: SourceKey, exempt: boolean): void {
    if (exceeded === 'limit') this.#others?.add();
    if (!exempt) this.#others?.addSource(source, this.#bound.levels(source));
  }

  /** The client's place in the service goes to another, or is released. */
  #leave(place: Place): boolean {
    if (!place.leave()) return false;
    const { source, isExempt: exempt } = place;
    this.#others?.releaseAtTop(source);
    if (!exempt) this.#others?.releaseSource(source, this.#bound.levels(source));
    return true;
  }

  #remove(reservation: Reservation): boolean {
    if (!this.#reservations.remove(reservation)) return false;
    this.#others?.releaseOfProxy(reservation.proxy.address);
    return true;
  }

  /** A newcomer gets the place and the descriptor, closed when `evict` returns. Freeing them again does nothing. */
  #takeOver(victim: Place | Reservation): void {
    this.#options.descriptors.handedOver();
    if (victim instanceof Reservation) this.#remove(victim);
    else this.#leave(victim);
    victim.holder?.evict();
  }

  #noteIfFull(): void {
    if (this.#others !== undefined && this.#isFull) this.noteLargest();
  }

  /**
   * Finds whom to evict for a newcomer: the client idle longest in the largest source, or the oldest reservation of a
   * proxy that has more. That source or proxy keeps at least as many connections as the newcomer's source then has, so
   * two of them can never take turns evicting each other.
   */
  #victimFor(newcomer: SourceKey): Place | Reservation | undefined {
    const source = this.#largestSource();
    const proxy = this.#largestProxy();
    const others = this.#others?.othersAtTop(newcomer) ?? 0;
    const own = this.#bound.sizeOf(newcomer) + this.#exempt.sizeOf(newcomer) + others;
    const [sourceConnections, proxyConnections] = [source?.connections ?? 0, proxy?.connections ?? 0];
    if (Math.max(sourceConnections, proxyConnections) <= own + 1) return undefined;
    return proxyConnections > sourceConnections ? proxy?.who.oldest : source?.who.idlestOfLargest();
  }

  #reservationFor(proxy: IpAddress): Reservation | undefined {
    const largest = this.#largestProxy();
    const own = this.#reservations.sizeOf(proxy) + (this.#others?.othersOfProxy(proxy) ?? 0);
    return largest !== undefined && largest.connections > own + 1 ? largest.who.oldest : undefined;
  }

  #largestSource(): Largest<TopSource> | undefined {
    const others = this.#others;
    return largestOf(this.#bound, others && (({ source }) => others.othersAtTop(source)));
  }

  #largestProxy(): Largest<WaitingProxy> | undefined {
    const others = this.#others;
    return largestOf(this.#reservations, others && (({ address }) => others.othersOfProxy(address)));
  }
}

/** A source or proxy, and its connections in all processes. */
interface Largest<Who> {
  readonly who: Who;
  readonly connections: number;
}

/**
 * The largest in all processes of those that are the largest in this one. `elsewhere` returns the connections in the
 * other processes, if there are any.
 */
function largestOf<Who extends { readonly size: number }>(
  here: { largest(rank: number): Who | undefined },
  elsewhere: ((who: Who) => number) | undefined,
): Largest<Who> | undefined {
  const first = here.largest(0);
  if (first === undefined || elsewhere === undefined) return first && { who: first, connections: first.size };
  let largest = { who: first, connections: first.size + elsewhere(first) };
  for (let rank = 1; rank < candidates; rank += 1) {
    const who = here.largest(rank);
    if (who === undefined) break;
    const connections = who.size + elsewhere(who);
    if (connections > largest.connections) largest = { who, connections };
  }
  return largest;
}
