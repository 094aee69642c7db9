import type { AccessRules, NetworkShare, StreamLimits } from './limits.ts';
import { isDenied, isExempt } from './access-list.ts';
import type { DescriptorShare } from './descriptor-budget.ts';
import { isUnixUser, type Source, SourceMask } from './source-prefix.ts';
import { networkPrefixes, type Place, SourceTree } from './source-tree.ts';
import { TokenTable } from './token-bucket.ts';

/**
 * Why a stream client is refused; a closed set. `proxy-header`: it is no proxy that may speak for others, or has not
 * said for whom. The others in the order in which the rules are asked.
 */
export type RefuseReason = 'proxy-header' | 'denied' | 'limit' | 'source-limit' | 'rate';

/** The reasons that a dry run only counts. */
export type WouldRefuseReason = Extract<RefuseReason, 'limit' | 'source-limit' | 'rate'>;

/** A source, `192.0.2.7`, `2001:db8::/64` or `unix:1000`, and its connections. */
export interface SourceCount {
  readonly source: string;
  readonly connections: number;
}

export interface AdmissionOptions {
  readonly limits: StreamLimits;
  readonly access: AccessRules;
  readonly descriptors: DescriptorShare;
  /** From 0 up to, but not including, 1. */
  readonly random: () => number;
  /** Told of each client that only a dry run admits. */
  readonly onWouldRefuse: (reason: WouldRefuseReason) => void;
}

/**
 * Which stream clients of one service are let in. A source is an IPv4 address, an IPv6 /64 (unless the config says
 * otherwise), or a UNIX user, whom no CIDR rule concerns. Limits refuse the client that exceeds them, never the
 * service. Where the service is full, a newcomer takes the place of a client whose source has more.
 */
export class Admission {
  readonly #limits: StreamLimits;
  readonly #access: AccessRules;
  readonly #descriptors: DescriptorShare;
  readonly #onWouldRefuse: (reason: WouldRefuseReason) => void;
  readonly #mask: SourceMask;
  readonly #rates: TokenTable;
  /** Of each network in `networkPrefixes`. */
  readonly #networkLimits: readonly number[];
  /** The clients that limits of sources concern, and that may have to make room. */
  readonly #bound: SourceTree;
  readonly #exempt: SourceTree;
  #reserved = 0;

  constructor({ limits, access, descriptors, random, onWouldRefuse }: AdmissionOptions) {
    this.#limits = limits;
    this.#access = access;
    this.#descriptors = descriptors;
    this.#onWouldRefuse = onWouldRefuse;
    this.#mask = new SourceMask(limits.sourcePrefix);
    this.#rates = new TokenTable(limits.connectionRate, random);
    this.#networkLimits = networkPrefixes.map((prefix) => networkLimit(limits, prefix));
    this.#bound = new SourceTree(limits.sourcePrefix.ipv6);
    this.#exempt = new SourceTree(limits.sourcePrefix.ipv6);
  }

  /** Connections admitted and not yet released. */
  get active(): number {
    return this.#bound.size + this.#exempt.size;
  }

  /** The sources that have the most connections, at most `count` of them, largest first. */
  topSources(count: number): readonly SourceCount[] {
    const sums = new Map<string, number>();
    for (const { high, low, size } of [...this.#bound.sources(), ...this.#exempt.sources()]) {
      const source = this.#mask.format(high, low);
      sums.set(source, (sums.get(source) ?? 0) + size);
    }
    const sources = [...sums].map(([source, connections]) => ({ source, connections }));
    return sources.sort((one, other) => other.connections - one.connections).slice(0, count);
  }

  /**
   * The place of the client, which is owed to `release`; or why it is refused, which costs nothing. Where the service
   * has no place or no descriptor left, a client of the largest source may be evicted for it, before this returns.
   * Times are monotonic milliseconds, 0 or more. `isProxied`: it came through a proxy, which may speak for anybody.
   */
  admit(source: Source, nowMs: number, isProxied: boolean = false): Place | RefuseReason {
    const address = isUnixUser(source) ? undefined : source;
    if (address !== undefined && isDenied(this.#access, address)) return 'denied';
    const high = this.#mask.high(source);
    const low = this.#mask.low(source);
    const { dryRun } = this.#limits;
    const hasRoom = !this.#isFull && this.#descriptors.isLeft();
    const victim = hasRoom || dryRun ? undefined : this.#victimFor(high, low);
    // Not even a dry run has more descriptors than there are.
    if (victim === undefined && !this.#descriptors.take()) return 'limit';
    const exempt = address !== undefined && isExempt(this.#access, address, isProxied);
    const exceeded =
      this.#isFull && victim === undefined ? 'limit' : exempt ? undefined : this.#exceededBySource(high, low, nowMs);
    if (exceeded !== undefined && !dryRun) {
      if (victim === undefined) this.#descriptors.release();
      return exceeded;
    }
    if (exceeded !== undefined) this.#onWouldRefuse(exceeded);
    // Its descriptor is closed when `evict` returns, and becomes the newcomer's. The victim's own `release` finds its
    // place given up.
    if (victim !== undefined) {
      this.#descriptors.handedOver();
      victim.holder?.evict();
      victim.leave();
    }
    return (exempt ? this.#exempt : this.#bound).add(high, low);
  }

  /**
   * An admitted connection is gone: its place and its descriptor are free. Of several calls for one place only the
   * first counts.
   */
  release(place: Place): void {
    if (place.leave()) this.#descriptors.release();
  }

  /**
   * A place for a client whose source is not known yet. Why there is none; `undefined`: its `cancel` is owed, before
   * `admit` is asked. Nobody is evicted for it, as there is no source to compare with.
   */
  reserve(): RefuseReason | undefined {
    if (!this.#limits.dryRun && this.#isFull) return 'limit';
    if (!this.#descriptors.take()) return 'limit';
    this.#reserved++;
    return undefined;
  }

  /** Gives the place of `reserve` back; once for each. */
  cancel(): void {
    this.#reserved--;
    this.#descriptors.release();
  }

  get #isFull(): boolean {
    return this.active + this.#reserved >= this.#limits.maxConnections;
  }

  /**
   * Whose place a newcomer of that source may take: that of the client idle longest of the largest source, which must
   * be left with as many connections as the newcomer's source then has. So no two sources can take a place from each
   * other in turn.
   */
  #victimFor(high: number, low: number): Place | undefined {
    const own = this.#bound.sizeOf(high, low) + this.#exempt.sizeOf(high, low);
    return this.#bound.largest > own + 1 ? this.#bound.idlestOfLargest() : undefined;
  }

  /** The limit of a source, or of a network around it, that one client more would exceed. */
  #exceededBySource(high: number, low: number, nowMs: number): WouldRefuseReason | undefined {
    if (this.#bound.isAtLimit(high, low, this.#limits.maxConnectionsPerSource, this.#networkLimits))
      return 'source-limit';
    return this.#rates.take(high, low, nowMs) ? undefined : 'rate';
  }
}

/** How many connections a network of that prefix may have; at least 1, Infinity for no limit. */
function networkLimit(
  { maxConnections, networkShare }: StreamLimits,
  prefix: (typeof networkPrefixes)[number],
): number {
  const key: keyof NetworkShare = `ipv6Prefix${prefix}`;
  return networkShare[key] === 100 ? Infinity : Math.ceil((maxConnections * networkShare[key]) / 100);
}
