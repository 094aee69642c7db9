import { networkInterfaces } from 'node:os';
import { type Cidr, cidrContains } from '../../address/cidr.ts';
import { type IpAddress, isLinkLocal, parseIp } from '../../address/ip-address.ts';

/** How long what the system said about interfaces and neighbors is taken for true. */
const interfacesMs = 60_000;
const neighborsMs = 1000;
/** The same for the absence of a neighbor: a new host has just asked for our link address, and so is known by now. */
const absenceMs = 100;

/**
 * Hosts to which replies may be under way without a known link address, of all processes of the daemon. The kernel has
 * an entry for each, in a table that usually takes 512 without harm, of all programs of the machine (gc_thresh2).
 */
const mostUnproven = 128;

/** Three seconds of asking, and then until the kernel has removed the entry (gc_thresh1, base_reachable_time). */
const unprovenMs = 25_000;

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
  readonly #mostUnproven: number;
  /** Until when each counts, the first to be forgotten first. */
  readonly #unproven = new Map<string, number>();

  /** `processes` serve, and each takes its part of what all of them may do. */
  constructor(source: NeighborSource, processes: number = 1) {
    this.#source = source;
    this.#mostUnproven = Math.max(1, Math.floor(mostUnproven / processes));
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
   * Whether a host on one of our links may be sent a reply for which the kernel must find its link address. It counts
   * as one of those that have not proven to exist, until that address is known.
   */
  mayLookFor(ip: IpAddress, nowMs: number): boolean {
    if (this.#isBlind) return true;
    const key = keyOf(ip);
    if (!this.#unproven.delete(key)) {
      for (const [other, untilMs] of this.#unproven) {
        if (nowMs < untilMs) break;
        this.#unproven.delete(other);
      }
      if (this.#unproven.size >= this.#mostUnproven) return false;
    }
    this.#unproven.set(key, nowMs + unprovenMs);
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
    for (const key of this.#unproven.keys()) if (this.#known.has(key)) this.#unproven.delete(key);
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
