import { networkInterfaces } from 'node:os';
import { type Cidr, cidrContains } from '../../address/cidr.ts';
import { type IpAddress, isLinkLocal, parseIp } from '../../address/ip-address.ts';
import type { Rate } from '../guard/limits.ts';
import { TokenBucket } from '../guard/token-bucket.ts';

/** How long what the system said about interfaces and neighbors is taken for true. */
const interfacesMs = 60_000;
const neighborsMs = 1000;
/** The same for the absence of a neighbor: a new host has just asked for our link address, and so is known by now. */
const absenceMs = 100;

/**
 * How many hosts without a known link address may be sent replies, of all processes of the daemon. The kernel keeps an
 * entry for each, of all programs of the machine, usually 512 without harm (gc_thresh2). Every 15 seconds it removes
 * those that it has not found, if there are 128 entries or more (gc_thresh1, base_reachable_time). A limit on the rate
 * bounds their number as well as one on the number would, but few forged sources cannot use it up.
 */
export const searchRate: Rate = { perSecond: 10, burst: 128 };

/** The kernel asks three times, a second apart, for the link address of a host (mcast_solicit, retrans_time_ms). */
const searchMs = 3000;

/** The system is not asked for more than some tens of thousands. A machine with so many has a larger table. */
const mostNeighbors = 16_384;

/** Each is compared with each source. The widest count. */
const mostNetworks = 32;

/** What the system knows about neighbors. Substituted in tests. */
export interface NeighborSource {
  /** The addresses of this machine's interfaces. */
  addresses(): readonly string[];
  /** Calls `found` for each network that is reached without a router, and whose hosts have link addresses. */
  routes(found: (network: IpAddress, prefix: number) => void): void;
  /** Calls `found` for each host on our links of which the link address is known. */
  neighbors(found: (ip: IpAddress) => void): void;
}

/** How many hosts may still be looked for, at `searchRate`. Processes may share the bucket. */
export interface Searches {
  readonly bucket: TokenBucket;
  /** Monotonic milliseconds, the same for all who share the bucket. Without it, the caller's. */
  readonly nowMs?: () => number;
}

/**
 * The hosts on the links of this machine. A reply to one whose link address is not known waits in the kernel, for up to
 * three seconds if it does not exist, and takes up the send buffer meanwhile. In other networks a router is known.
 */
export class Neighborhood {
  readonly #source: NeighborSource;
  #networks: readonly Cidr[] = [];
  /** Single hosts, such as containers, which may be hundreds: by their last word, and exactly. */
  readonly #hostWords = new Set<number>();
  readonly #hosts = new Set<string>();
  readonly #own = new Set<string>();
  #networksUntilMs = 0;
  readonly #known = new Set<string>();
  #knownUntilMs = 0;
  #absentUntilMs = 0;
  readonly #searches: Searches;
  /** Until when the kernel looks for each, the first to end first. */
  readonly #searchedUntilMs = new Map<string, number>();

  constructor(source: NeighborSource, searches: Searches = { bucket: new TokenBucket(searchRate) }) {
    this.#source = source;
    this.#searches = searches;
  }

  /** Whether the address is that of another host on one of our links. Times are monotonic. */
  isOnLink(ip: IpAddress, nowMs: number): boolean {
    if (nowMs >= this.#networksUntilMs) this.#readNetworks(nowMs);
    return (isLinkLocal(ip) || this.#isReachedDirectly(ip)) && !this.#own.has(keyOf(ip));
  }

  /** Whether the link address of a host on one of our links is known. */
  isKnown(ip: IpAddress, nowMs: number): boolean {
    if (nowMs >= this.#knownUntilMs) this.#readKnown(nowMs);
    const key = keyOf(ip);
    if (this.#known.has(key)) return true;
    if (nowMs < this.#absentUntilMs) return false;
    this.#readKnown(nowMs);
    return this.#known.has(key);
  }

  /**
   * Whether a host on one of our links may be sent a reply for which the kernel must find its link address. What is
   * sent while the kernel is looking for it already costs nothing.
   */
  mayLookFor(ip: IpAddress, nowMs: number): boolean {
    if (this.#isBlind) return true;
    for (const [other, untilMs] of this.#searchedUntilMs) {
      if (nowMs < untilMs) break;
      this.#searchedUntilMs.delete(other);
    }
    const key = keyOf(ip);
    if (this.#searchedUntilMs.has(key)) return true;
    if (!this.#searches.bucket.take(this.#searches.nowMs?.() ?? nowMs)) return false;
    this.#searchedUntilMs.set(key, nowMs + searchMs);
    return true;
  }

  /** In a sandbox without network, say: nobody would ever prove to exist. */
  get #isBlind(): boolean {
    return (this.#networks.length === 0 && this.#hosts.size === 0) || this.#known.size >= mostNeighbors;
  }

  #isReachedDirectly(ip: IpAddress): boolean {
    if (this.#hostWords.has(ip.w3) && this.#hosts.has(keyOf(ip))) return true;
    return this.#networks.some((network) => cidrContains(network, ip));
  }

  #readNetworks(nowMs: number): void {
    this.#networksUntilMs = nowMs + interfacesMs;
    const networks: Cidr[] = [];
    this.#hostWords.clear();
    this.#hosts.clear();
    // Addresses do not show all of them: not with DHCPv6, nor with an IPv4 /32.
    this.#source.routes((network, prefix) => {
      if (prefix < 128) {
        networks.push({ network, prefix });
        return;
      }
      this.#hostWords.add(network.w3);
      this.#hosts.add(keyOf(network));
    });
    this.#networks = widest(networks);
    this.#own.clear();
    for (const text of this.#source.addresses()) {
      const ip = parseIp(text);
      if (ip !== undefined) this.#own.add(keyOf(ip));
    }
  }

  #readKnown(nowMs: number): void {
    this.#knownUntilMs = nowMs + neighborsMs;
    this.#known.clear();
    this.#source.neighbors((ip) => this.#known.add(keyOf(ip)));
    // A large table takes long to read.
    this.#absentUntilMs = nowMs + (this.#known.size > mostNeighbors / 16 ? neighborsMs : absenceMs);
  }
}

/** None if a sandbox forbids the question. */
export function interfaceAddresses(): readonly string[] {
  try {
    return Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
  } catch {
    return [];
  }
}

/** Those that do not lie in another one. */
function widest(networks: readonly Cidr[]): readonly Cidr[] {
  const kept: Cidr[] = [];
  for (const each of networks.toSorted((one, other) => one.prefix - other.prefix)) {
    if (kept.length === mostNetworks) break;
    if (!kept.some((wider) => cidrContains(wider, each.network))) kept.push(each);
  }
  return kept;
}

function keyOf({ w0, w1, w2, w3 }: IpAddress): string {
  return `${w0},${w1},${w2},${w3}`;
}
