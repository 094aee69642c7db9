import { networkInterfaces } from 'node:os';
import { type Cidr, cidrContains } from '../../address/cidr.ts';
import { type IpAddress, isLinkLocal, parseIp } from '../../address/ip-address.ts';

/** How long what the system said about interfaces and neighbors is taken for true. */
const interfacesMs = 60_000;
const neighborsMs = 1000;

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

  constructor(source: NeighborSource) {
    this.#source = source;
  }

  /** Whether the address is that of another host on one of our links. Times are monotonic. */
  isOnLink(ip: IpAddress, nowMs: number): boolean {
    if (nowMs >= this.#networksUntilMs) this.#readNetworks(nowMs);
    return (isLinkLocal(ip) || this.#isReachedDirectly(ip)) && !this.#own.has(keyOf(ip));
  }

  /** Whether the link address of a host on one of our links is known. */
  isKnown(ip: IpAddress, nowMs: number): boolean {
    if (nowMs >= this.#knownUntilMs) this.#readKnown(nowMs);
    return this.#known.has(keyOf(ip));
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
