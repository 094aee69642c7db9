import type { AccessRules, StreamLimits } from './limits.ts';
import { isDenied, isExempt } from './access-list.ts';
import type { DescriptorShare } from './descriptor-budget.ts';
import { isUnixUser, type Source, type SourceKey, SourceMask } from './source-prefix.ts';
import { networkPrefixes, type Place, SourceTree, type TopSource } from './source-tree.ts';
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
  #reserved = 0;

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
   * Whether another process should take the next client: the service is full, and others hold clients of a larger
   * source. Call before a client is accepted.
   */
  leavesToOthers(): boolean {
    const { limits, descriptors, shared } = this.#options;
    if (shared === undefined || limits.dryRun || (!this.#isFull && descriptors.isLeft())) return false;
    const connections = this.noteLargest();
    return shared.room.isMoreElsewhere(connections);
  }

  /** Tells the other processes the size of the largest source here, which this returns. Call every `roomPeriodMs`. */
  noteLargest(): number {
    const largest = this.#largest();
    const connections = largest === undefined ? 0 : this.#sizeOf(largest);
    this.#options.shared?.room.note(connections);
    return connections;
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
    const hasRoom = !this.#isFull && descriptors.isLeft();
    const victim = hasRoom || dryRun ? undefined : this.#victimFor(key);
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
    // The newcomer gets the place and the descriptor, closed when `evict` returns. The victim's own `release` then does
    // nothing.
    if (victim !== undefined) {
      descriptors.handedOver();
      victim.holder?.evict();
      this.#leave(victim);
    }
    this.#others?.addAtTop(key);
    const place = (exempt ? this.#exempt : this.#bound).add(key);
    if (this.#others !== undefined && this.#isFull) this.noteLargest();
    return place;
  }

  /** Frees the place and descriptor of a closed connection. Repeated calls for a place have no effect. */
  release(place: Place): void {
    if (!this.#leave(place)) return;
    this.#options.descriptors.release();
    this.#others?.release();
  }

  /**
   * Reserves a place for a client whose source is not known yet. Returns the reason for refusal, or undefined, in which
   * case `cancel` must be called before `admit`. Evicts nobody, because there is no source to compare with.
   */
  reserve(): RefuseReason | undefined {
    const { limits, descriptors } = this.#options;
    if (this.#take(true) !== undefined) {
      if (!limits.dryRun) return 'limit';
      this.#others?.add();
    }
    if (!descriptors.take()) {
      this.#others?.release();
      return 'limit';
    }
    this.#reserved++;
    return undefined;
  }

  /** Returns the place from `reserve`. Call once for each. */
  cancel(): void {
    this.#reserved--;
    this.#options.descriptors.release();
    this.#others?.release();
  }

  get #isFull(): boolean {
    return this.#here + (this.#others?.others ?? 0) >= this.#options.limits.maxConnections;
  }

  /** Places taken in this process. */
  get #here(): number {
    return this.active + this.#reserved;
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

  /**
   * Finds the client to evict for a newcomer: the one idle longest in the largest source, if that source keeps at least
   * as many connections as the newcomer's source then has. Two sources can therefore never take turns evicting each
   * other.
   */
  #victimFor(newcomer: SourceKey): Place | undefined {
    const largest = this.#largest();
    if (largest === undefined) return undefined;
    const others = this.#others?.othersAtTop(newcomer) ?? 0;
    const own = this.#bound.sizeOf(newcomer) + this.#exempt.sizeOf(newcomer) + others;
    return this.#sizeOf(largest) > own + 1 ? largest.idlestOfLargest() : undefined;
  }

  /** The largest in all processes of those that are the largest in this one. */
  #largest(): TopSource | undefined {
    let largest = this.#bound.largest(0);
    if (this.#others === undefined || largest === undefined) return largest;
    let size = this.#sizeOf(largest);
    for (let rank = 1; rank < candidates; rank += 1) {
      const other = this.#bound.largest(rank);
      if (other === undefined) return largest;
      const otherSize = this.#sizeOf(other);
      if (otherSize > size) [largest, size] = [other, otherSize];
    }
    return largest;
  }

  /** In all processes. */
  #sizeOf({ source, size }: TopSource): number {
    return size + (this.#others?.othersAtTop(source) ?? 0);
  }
}
