import { prefixOf } from '../address/cidr.ts';
import { formatIp, isIpv4, parseIp } from '../address/ip-address.ts';

/** Enough for every sender that the rates let through, in about a megabyte. */
const mostSessions = 4096;

/** When there is no room, the sessions of a network that no other network's take the place of. */
const mostOfNetwork = 64;

/** Of an IPv4 address, among the 128 bits of IPv6, and of an IPv6 address. */
const ipv4Prefix = 96 + 24;
const ipv6Prefix = 48;

/** A sender that has been silent for this long starts a new session: REFWAIT of RFC 5357 section 4.2. */
const longestSilenceUs = 900e6;

interface Network {
  readonly name: string;
  /** The names of its sessions, in the order of their last packets. */
  readonly sessions: Set<string>;
}

interface Session {
  next: number;
  lastUs: number;
  readonly network: Network;
}

/** The sequence numbers of the stateful reflector (RFC 8762 section 4.3): each session has its own, from 0. */
export class StampSessions {
  /** In the order of their last packets. */
  readonly #sessions = new Map<string, Session>();
  readonly #networks = new Map<string, Network>();

  /**
   * Returns the next number of a session, modulo 2^32. `address` is that of its sender. If there are too many, the one
   * silent for longest ends: in its own network, if that has many, so that one network cannot end all of the others.
   */
  next(name: string, address: string, nowUs: number): number {
    const session = this.#sessions.get(name) ?? this.#begin(networkOf(address), nowUs);
    const { sessions } = session.network;
    // It becomes the last one.
    this.#sessions.delete(name);
    this.#sessions.set(name, session);
    sessions.delete(name);
    sessions.add(name);
    const number = nowUs - session.lastUs > longestSilenceUs ? 0 : session.next;
    session.next = (number + 1) >>> 0;
    session.lastUs = nowUs;
    return number;
  }

  #begin(networkName: string, nowUs: number): Session {
    const sessions = this.#networks.get(networkName)?.sessions;
    if (this.#sessions.size >= mostSessions)
      this.#endOldest(sessions === undefined || sessions.size < mostOfNetwork ? this.#sessions : sessions);
    // Only now, since it may just have lost its last session.
    const network = this.#networks.get(networkName) ?? { name: networkName, sessions: new Set() };
    this.#networks.set(networkName, network);
    return { next: 0, lastUs: nowUs, network };
  }

  #endOldest(sessions: Pick<ReadonlySet<string>, 'keys'>): void {
    const [name = ''] = sessions.keys();
    const network = this.#sessions.get(name)?.network;
    this.#sessions.delete(name);
    network?.sessions.delete(name);
    if (network?.sessions.size === 0) this.#networks.delete(network.name);
  }
}

/** An IPv4 /24, an IPv6 /48, or a link: what one customer has. */
function networkOf(address: string): string {
  const zone = address.indexOf('%');
  if (zone >= 0) return address.slice(zone);
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(prefixOf(ip, isIpv4(ip) ? ipv4Prefix : ipv6Prefix));
}
