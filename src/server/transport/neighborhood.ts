import { networkInterfaces } from 'node:os';
import { type Cidr, cidrContains, prefixOf, readCidr } from '../../address/cidr.ts';
import { type IpAddress, isLinkLocal, parseIp } from '../../address/ip-address.ts';

/** How long what the system said about interfaces and neighbors is taken for true. */
const interfacesMs = 60_000;
const neighborsMs = 1000;

/** What the system knows about neighbors. Substituted in tests. */
export interface NeighborSource {
  /** The networks of this machine's interfaces, such as `192.0.2.1/24`. */
  networks(): readonly string[];
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
    const isInside = isLinkLocal(ip) || this.#networks.some((network) => cidrContains(network, ip));
    return isInside && !this.#own.has(keyOf(ip));
  }

  /** Whether the link address of a host on one of our links is known. */
  isKnown(ip: IpAddress, nowMs: number): boolean {
    if (nowMs >= this.#knownUntilMs) this.#readKnown(nowMs);
    return this.#known.has(keyOf(ip));
  }

  #readNetworks(nowMs: number): void {
    this.#networksUntilMs = nowMs + interfacesMs;
    const texts = this.#source.networks();
    this.#networks = texts.flatMap((text) => networkOf(text) ?? []);
    this.#own.clear();
    for (const text of texts) {
      const ip = parseIp(text.slice(0, text.indexOf('/')));
      if (ip !== undefined) this.#own.add(keyOf(ip));
    }
  }

  #readKnown(nowMs: number): void {
    this.#knownUntilMs = nowMs + neighborsMs;
    this.#known.clear();
    this.#source.neighbors((ip) => this.#known.add(keyOf(ip)));
  }
}

/** Of all interfaces but loopback. None if a sandbox forbids the question. */
export function interfaceNetworks(): readonly string[] {
  try {
    return Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .flatMap(({ internal, cidr }) => (internal || cidr === null ? [] : [cidr]));
  } catch {
    return [];
  }
}

/** Of an address with a prefix length. Undefined if a network has only that one. */
function networkOf(text: string): Cidr | undefined {
  const [address = '', length = ''] = text.split('/');
  const ip = parseIp(address);
  const host = ip === undefined ? undefined : readCidr(address);
  if (ip === undefined || host === undefined || typeof host === 'string') return undefined;
  const prefix = host.prefix - (address.includes(':') ? 128 : 32) + Number(length);
  return prefix === host.prefix ? undefined : { network: prefixOf(ip, prefix), prefix };
}

function keyOf({ w0, w1, w2, w3 }: IpAddress): string {
  return `${w0},${w1},${w2},${w3}`;
}
