import type { Cidr } from '../../address/cidr.ts';

/** Tokens a second, and how many may be spent at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** How many leading bits of an address make a source: 1 to 32 for IPv4, 1 to 64 for IPv6. */
export interface SourcePrefix {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** How much of `maxConnections` one IPv6 network may have, in percent, 1 to 100; 100: as much as there is. */
export interface NetworkShare {
  readonly ipv6Prefix48: number;
  readonly ipv6Prefix56: number;
}

/** What may be configured for a stream; durations in milliseconds, `Infinity` for `never` and `unlimited`. */
export interface StreamLimits {
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly maxLifetimeMs: number;
  readonly lingerTimeoutMs: number;
  readonly maxBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerSource: number;
  readonly networkShare: NetworkShare;
  readonly connectionRate: Rate;
  readonly sourcePrefix: SourcePrefix;
  /** Rates and connection limits count whom they would refuse, and refuse nobody. */
  readonly dryRun: boolean;
}

/** What the datagram guard enforces. */
export interface DatagramLimits {
  /** For each source prefix. */
  readonly datagramRate: Rate;
  /** For the whole service. */
  readonly datagramServiceRate: Rate;
  readonly sourcePrefix: SourcePrefix;
  /** The rates count what they would drop, and drop nothing. */
  readonly dryRun: boolean;
  /** The largest ratio of a reply's size on the wire to its request's. */
  readonly maxAmplification: number;
  readonly allowSourcePorts: readonly number[];
  readonly receiveBufferBytes: number;
}

/** Who may be a client. */
export interface AccessRules {
  /** Empty: everybody. */
  readonly allow: readonly Cidr[];
  readonly deny: readonly Cidr[];
  /** Sources to which rates and per-source limits do not apply. */
  readonly exempt: readonly Cidr[];
  /** The same for sources that only a PROXY header names. */
  readonly exemptByHeader: readonly Cidr[];
}

/** Whom a service believes that it speaks for others, by the PROXY protocol. */
export interface ProxyRules {
  /** Empty: nobody, and no client begins with a header. */
  readonly from: readonly Cidr[];
  /** For the header. */
  readonly timeoutMs: number;
}
