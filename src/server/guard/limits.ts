import type { Cidr } from '../../address/cidr.ts';

/** Tokens per second, and the most that can be spent at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** The number of leading address bits that identify a source: 1 to 32 for IPv4, 1 to 64 for IPv6. */
export interface SourcePrefix {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** Configurable stream limits. Durations are in milliseconds, and `Infinity` stands for `never` and `unlimited`. */
export interface StreamLimits {
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  /** What a client that is behind must take in each stall timeout. */
  readonly minProgressBytes: number;
  readonly maxLifetimeMs: number;
  readonly lingerTimeoutMs: number;
  readonly maxBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerSource: number;
  /** The part of `maxConnections` that an IPv6 network may have, in percent from 1 to 100. 100 means no extra limit. */
  readonly networkShare: { readonly ipv6Prefix48: number; readonly ipv6Prefix56: number };
  readonly connectionRate: Rate;
  readonly sourcePrefix: SourcePrefix;
  /** Count clients over rates and connection limits without refusing them. */
  readonly dryRun: boolean;
}

/** Limits enforced by the datagram guard. */
export interface DatagramLimits {
  /** Per source prefix. */
  readonly datagramRate: Rate;
  /** For the entire service. */
  readonly datagramServiceRate: Rate;
  readonly sourcePrefix: SourcePrefix;
  /** Count datagrams over the rates without dropping them. */
  readonly dryRun: boolean;
  /** The largest allowed ratio of reply size to request size on the wire. */
  readonly maxAmplification: number;
  readonly allowSourcePorts: readonly number[];
  readonly receiveBufferBytes: number;
}

/** Which sources may be clients. */
export interface AccessRules {
  /** Empty means everyone. */
  readonly allow: readonly Cidr[];
  readonly deny: readonly Cidr[];
  /** Sources exempt from rates and per-source limits. */
  readonly exempt: readonly Cidr[];
  /** The same for sources known only from a PROXY header. */
  readonly exemptByHeader: readonly Cidr[];
}

/** Which peers are trusted to send PROXY headers. */
export interface ProxyRules {
  /** Empty means none, and clients do not start with a header. */
  readonly from: readonly Cidr[];
  /** For the header to arrive. */
  readonly timeoutMs: number;
}
