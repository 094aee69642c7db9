import type { Cidr } from '../address/cidr.ts';
import type { ListenAddress } from '../address/listen-address.ts';

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

/** What may be configured for a stream's socket. */
export interface SocketOptions {
  readonly keepAlive: { readonly enabled: boolean; readonly delayMs: number };
  readonly noDelay: boolean;
  readonly backlog: number;
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

export interface ServiceConfig {
  /** The instance's name: the key under `services`. */
  readonly name: string;
  /**
   * The name of the kind of service; for a module its own `name`, or the instance's name while the module is not
   * loaded.
   */
  readonly type: string;
  /** What to import instead of a built-in: a `file:` URL; while the module is not loaded, what the config calls it. */
  readonly module: string | undefined;
  readonly listen: readonly ListenAddress[];
  readonly access: AccessRules;
  readonly proxy: ProxyRules;
  readonly stream: StreamLimits;
  readonly socket: SocketOptions;
  readonly datagram: DatagramLimits;
  readonly exposeUdp: boolean;
  /** Why the kind's UDP side may be abused; undefined where it may not, and while its module is not loaded. */
  readonly udpHazard: string | undefined;
  /** Checked and completed by the kind's schema. */
  readonly options: Readonly<Record<string, unknown>>;
}

type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogConfig {
  readonly level: LogLevel;
  /** The level of the line for each closed connection; `off` writes none. */
  readonly connections: 'debug' | 'info' | 'warn' | 'off';
  /** A path; null for standard output. */
  readonly file: string | null;
}

interface AdminConfig {
  /** Null: nowhere. Never UDP. */
  readonly listen: ListenAddress | null;
  /** Names, besides localhost, that requests may be addressed to. */
  readonly hosts: readonly string[];
}

/** A config, checked and complete. */
export interface Config {
  /** 0: everything in one process. `auto` has become a number. */
  readonly workers: number;
  readonly user: string | null;
  readonly group: string | null;
  readonly log: LogConfig;
  readonly shutdown: { readonly graceMs: number };
  /** For clients of the config that was replaced. */
  readonly reload: { readonly graceMs: number };
  readonly admin: AdminConfig;
  readonly services: readonly ServiceConfig[];
}
