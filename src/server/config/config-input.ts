/**
 * The types of a config that is an object. `npm run docs` writes them from schema.ts and the options of the services.
 * Do not edit them.
 */
import type { ModuleObject } from './module-object.ts';

/** A whole number and a unit: `500ms`, `10s`, `5m`, `24h` or `7d`. */
type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/** Bytes, or a whole number and a unit: `64KiB`, `4MiB`, `1GiB` or `1TiB`. */
type Size = number | `${number}${'KiB' | 'MiB' | 'GiB' | 'TiB'}`;

/** A config, in the shape of a config file. */
export interface ConfigInput {
  /**
   * Number of worker processes. `auto` is the number of processors, at least 2 and at most 4, or fewer where CPU time
   * or memory is limited: 1 with less than one processor, and usually 0 in less than 112 MiB. 0 runs everything in one
   * process, which cannot reload its config. Default: `"auto"`.
   */
  readonly workers?: number | 'auto' | undefined;
  /**
   * Sockets of the services. `kernel` makes system calls directly: faster, and over UDP a reply comes from the address
   * that was asked. `node` goes through Node.js. `auto` is `kernel` where koffi runs (64-bit Linux), else `node`.
   * Default: `"auto"`.
   */
  readonly sockets?: 'auto' | 'kernel' | 'node' | undefined;
  /**
   * User that workers run as when the daemon is started as root. Files that the config names, except log.file, are
   * opened as this user. Null is smallservd if that user exists, else nobody. To stay root, set root.
   */
  readonly user?: string | number | null | undefined;
  /** Group that workers run as when the daemon is started as root. Null is the primary group of the user. */
  readonly group?: string | number | null | undefined;
  readonly log?: {
    /** Minimum level of log lines. Default: `"info"`. */
    readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent' | undefined;
    /** Level of the log line for each closed connection. `off` writes none. Default: `"info"`. */
    readonly connections?: 'debug' | 'info' | 'warn' | 'off' | undefined;
    /**
     * File to append the log to, relative to the config file. A new file is readable only by its owner. Null is
     * standard output.
     */
    readonly file?: string | null | undefined;
  };
  readonly shutdown?: {
    /** How long clients may take to finish when the daemon stops, before they are disconnected. Default: `"10s"`. */
    readonly grace?: Duration | undefined;
  };
  readonly reload?: {
    /** How long existing clients may continue under the old config after a reload. Default: `"10m"`. */
    readonly grace?: Duration | undefined;
  };
  readonly admin?: {
    /**
     * Where metrics, health, status and a page for people are served over HTTP: a TCP address, a UNIX socket or an
     * inherited socket. Null disables the endpoint.
     */
    readonly listen?: string | null | undefined;
    /**
     * Host names that the admin endpoint accepts in addition to localhost and IP addresses. /livez and /readyz accept
     * any. Default: `[]`.
     */
    readonly hosts?: readonly string[] | string | undefined;
  };
  /** What all services have unless they say otherwise. */
  readonly defaults?: CommonInput;
  /** The services, each under its own name. */
  readonly services: ServicesInput;
}

/**
 * A service that has the name of a built-in one is that one. Others need `type` or `module`, which is checked only
 * when the daemon starts.
 */
interface ServicesInput extends NamedInput {
  readonly [name: string]: ExplicitInput | (UntypedInput & AnyOptions) | undefined;
}

/** Of a name that is not a built-in service, nothing is known without `type` or `module`. */
type AnyOptions = { readonly [Name in OptionName]?: unknown };

type NamedInput = {
  readonly [Type in BuiltIn]?: ExplicitInput | (UntypedInput & BuiltInOptions[Type] & OptionsOfOthers<Type>);
};

/** A union accepts the keys of all its members, so those that do not belong here are excluded. */
type OptionsOfOthers<Type extends BuiltIn> = {
  readonly [Name in Exclude<OptionName, keyof BuiltInOptions[Type]>]?: undefined;
};

type OptionName = { [Type in BuiltIn]: keyof BuiltInOptions[Type] }[BuiltIn];

type ExplicitInput = ModuleInput | { readonly [Type in BuiltIn]: TypedInput<Type> }[BuiltIn];

type BuiltIn = keyof BuiltInOptions;

interface UntypedInput extends OwnInput {
  readonly type?: null | undefined;
  readonly module?: null | undefined;
}

type TypedInput<Type extends BuiltIn> = OwnInput &
  BuiltInOptions[Type] & {
    /** The built-in service that it is. */
    readonly type: Type;
    readonly module?: null | undefined;
  };

interface ModuleInput extends OwnInput {
  readonly type?: null | undefined;
  /** A service module, or where to load one: a path relative to the config, or a package name. */
  readonly module: ModuleObject | string;
  /** The options of the module, which are checked when the daemon starts. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** The keys that every service has. */
interface OwnInput extends CommonInput {
  /** Addresses to listen on: at least one, TCP and UDP together. Default: `[]`. */
  readonly listen?: readonly string[] | string | undefined;
  /** How the service misbehaves on purpose. */
  readonly faults?: FaultsInput;
}

/** How a service misbehaves on purpose. */
export interface FaultsInput {
  /**
   * Start of the random decisions. The same seed and the same clients, served by one worker, give the same faults.
   * Default: `0`.
   */
  readonly seed?: number | undefined;
  readonly delay?: {
    /** Probability that a UDP reply or a chunk of a stream is delayed. Default: `1`. */
    readonly probability?: number | undefined;
    /** Mean delay of each UDP reply and of each chunk of a stream, which keeps its order. Null delays nothing. */
    readonly time?: Duration | null | undefined;
    /**
     * How much the delay varies: the standard deviation, or for `uniform` the most that it differs from `time`. A delay
     * below zero is none. Default: `"0s"`.
     */
    readonly jitter?: Duration | undefined;
    /** Distribution of the delay. `pareto` has a long tail: few replies are very late. Default: `"normal"`. */
    readonly distribution?: 'normal' | 'uniform' | 'pareto' | undefined;
  };
  /** Probability that one bit of a UDP reply, or of a chunk of a stream, is flipped. Default: `0`. */
  readonly corrupt?: number | undefined;
  /** Probability that a UDP reply is not sent. Default: `0`. */
  readonly loss?: number | undefined;
  /** Probability that a UDP reply is sent twice, if `maxAmplification` allows it. Default: `0`. */
  readonly duplicate?: number | undefined;
  readonly reorder?: {
    /** Probability that a UDP reply is delayed, so that later ones overtake it. Default: `1`. */
    readonly probability?: number | undefined;
    /** How much longer such a reply is delayed, in addition to `delay`. Null reorders nothing. */
    readonly time?: Duration | null | undefined;
  };
  readonly truncate?: {
    /** Probability that a UDP reply is cut. Default: `1`. */
    readonly probability?: number | undefined;
    /** Bytes that are left of such a reply. Null cuts nothing. */
    readonly size?: Size | null | undefined;
  };
  readonly answers?: {
    /** Probability that a request is answered several times over UDP. Default: `1`. */
    readonly probability?: number | undefined;
    /** How many copies of each such reply are sent, if `maxAmplification` allows it. Null sends one. */
    readonly count?: number | null | undefined;
  };
  readonly acceptDelay?: {
    /** Probability that a new client waits to be served. Default: `1`. */
    readonly probability?: number | undefined;
    /** How long such a client waits. Null serves it at once. */
    readonly time?: Duration | null | undefined;
  };
  readonly firstByteDelay?: {
    /** Probability that the first byte for a stream client is delayed. Default: `1`. */
    readonly probability?: number | undefined;
    /** How long such a byte is delayed, in addition to `delay`. Null does not delay it. */
    readonly time?: Duration | null | undefined;
  };
  readonly rate?: {
    /** Probability that the output of a connection is slowed down. Default: `1`. */
    readonly probability?: number | undefined;
    /** Bytes per second that such a connection sends. Null is as fast as the client takes them. */
    readonly perSecond?: Size | null | undefined;
  };
  readonly closeAfter?: {
    /** Probability that a connection is closed early. Default: `1`. */
    readonly probability?: number | undefined;
    /** Bytes sent after which such a connection is closed, or null. */
    readonly size?: Size | null | undefined;
    /** How long after its client was first served such a connection is closed, or null. */
    readonly time?: Duration | null | undefined;
  };
  readonly resetAfter?: {
    /** Probability that a connection is reset early. Default: `1`. */
    readonly probability?: number | undefined;
    /** Bytes sent after which such a connection is reset, or null. */
    readonly size?: Size | null | undefined;
    /** How long after its client was first served such a connection is reset, or null. */
    readonly time?: Duration | null | undefined;
  };
  /** Probability that a new connection is reset at once. Default: `0`. */
  readonly resetOnAccept?: number | undefined;
  /**
   * Probability that the service closes its side of a connection after the first chunk that it sends. The client is
   * still read. Default: `0`.
   */
  readonly halfCloseEarly?: number | undefined;
  /**
   * Probability that everything from a client is read, and nothing is ever answered, not even its FIN. Default: `0`.
   */
  readonly blackhole?: number | undefined;
  /** Probability that nothing from a client is read. Default: `0`. */
  readonly stopReading?: number | undefined;
  readonly maxDelayed?: {
    /** Maximum number of UDP replies that the service delays in each worker. More are lost. Default: `10000`. */
    readonly datagrams?: number | undefined;
    /**
     * Maximum size of everything that the service delays in each worker. UDP replies beyond it are lost. Stream clients
     * wait for room, and are reset if there is none. Default: `"16MiB"`.
     */
    readonly bytes?: Size | undefined;
  };
}

/** The keys that every service has, and `defaults`. */
interface CommonInput {
  /** Serve only these clients, by address or network. Empty serves all. Default: `[]`. */
  readonly allow?: readonly string[] | string | undefined;
  /** Clients to refuse, by address or network, even if `allow` includes them. Default: `[]`. */
  readonly deny?: readonly string[] | string | undefined;
  /**
   * Clients, by address or network, exempt from rate limits and per-source limits. Default:
   * `["127.0.0.0/8","::1/128"]`.
   */
  readonly exempt?: readonly string[] | string | undefined;
  /**
   * If true, rate and connection limits refuse no client and drop no datagram. What they would have refused or dropped
   * is counted and logged. Use it to try out limits. Default: `false`.
   */
  readonly dryRun?: boolean | undefined;
  readonly proxyProtocol?: {
    /**
     * Proxies, by address or network, trusted to send PROXY headers. Only these proxies are served, except over UNIX
     * sockets, and the address in the header is the client. Over TCP each connection must begin with a header (version
     * 1 or 2), over UDP each datagram, or the first of a flow (version 2). Empty expects no headers. Default: `[]`.
     */
    readonly from?: readonly string[] | string | undefined;
    /**
     * Clients behind a proxy, by the address in the PROXY header, exempt from rate limits and per-source limits.
     * `exempt` does not apply to them, because a proxy may pass on any address that its own client claims. Default:
     * `[]`.
     */
    readonly exempt?: readonly string[] | string | undefined;
    /** How long a TCP connection may take to send its PROXY header. Default: `"5s"`. */
    readonly timeout?: Duration | undefined;
  };
  /**
   * Close a connection when the client has neither sent nor received anything for this long. Also forget the client of
   * a UDP flow of a proxy when nothing has come for this long. Default: `"5m"`.
   */
  readonly idleTimeout?: Duration | 'never' | undefined;
  /**
   * Close a connection when data has been waiting for the client for this long, and it has acknowledged fewer bytes
   * than `minRate`. Default: `"30s"`.
   */
  readonly stallTimeout?: Duration | 'never' | undefined;
  /**
   * Minimum number of bytes that a client must acknowledge in each `stallTimeout` (not per second) while data is
   * waiting for it. A client that acknowledges everything is not stalled. Default: `"1KiB"`.
   */
  readonly minRate?: Size | undefined;
  /** Maximum age of a connection. Default: `"24h"`. */
  readonly maxLifetime?: Duration | 'never' | undefined;
  /**
   * How long a connection waits for the client to close its side after the server has closed its own. Then it is
   * destroyed. Default: `"5s"`.
   */
  readonly lingerTimeout?: Duration | 'never' | undefined;
  /** Close a connection when it has carried this much, in both directions combined. Default: `"1TiB"`. */
  readonly maxBytes?: Size | 'unlimited' | undefined;
  /**
   * Maximum number of concurrent connections of the service. When it is reached, a new connection replaces a client of
   * the source with the most connections, or is refused. Default: `1000`.
   */
  readonly maxConnections?: number | undefined;
  /**
   * Maximum number of concurrent connections from one source. More are refused. By default a source is an IPv4 address,
   * an IPv6 /64 network, a link-local IPv6 host or a user of a UNIX socket. Default: `100`.
   */
  readonly maxConnectionsPerSource?: number | undefined;
  readonly networkShare?: {
    /**
     * Share of `maxConnections` that the sources of one IPv6 /56 network may hold together. More are refused. 100% is
     * no limit. Default: `"25%"`.
     */
    readonly ipv6Prefix56?: `${number}%` | undefined;
    /**
     * Share of `maxConnections` that the sources of one IPv6 /48 network, or the link-local hosts of one link, may hold
     * together. More are refused. 100% is no limit. Default: `"50%"`.
     */
    readonly ipv6Prefix48?: `${number}%` | undefined;
  };
  readonly connectionRate?: {
    /** Sustained rate of new connections per second from one source. Default: `100`. */
    readonly perSecond?: number | undefined;
    /** Burst: connections that an idle source may open at once. Default: `200`. */
    readonly burst?: number | undefined;
  };
  readonly streamPrefix?: {
    /** Number of leading bits of an IPv4 address that identify one source of connections. Default: `32`. */
    readonly ipv4?: number | undefined;
    /** Number of leading bits of an IPv6 address that identify one source of connections. Default: `64`. */
    readonly ipv6?: number | undefined;
  };
  readonly keepAlive?: {
    /** Whether TCP probes a silent client from time to time to check that it is still there. Default: `true`. */
    readonly enabled?: boolean | undefined;
    /** How long a client must be silent before the first probe. Default: `"60s"`. */
    readonly delay?: Duration | undefined;
  };
  /** Whether small writes are sent at once. If false, TCP coalesces them (Nagle's algorithm). Default: `true`. */
  readonly noDelay?: boolean | undefined;
  /**
   * Number of connections that the system queues before the service accepts them. The system may set a lower limit.
   * Default: `511`.
   */
  readonly backlog?: number | undefined;
  /**
   * Whether to listen on addresses that this machine does not have yet. If false, startup and a reload wait five
   * seconds for them. Not available with `sockets: node` and `workers: 0`. Default: `false`.
   */
  readonly freebind?: boolean | undefined;
  readonly datagramRate?: {
    /**
     * Sustained rate of datagrams per second answered for one source, by default an IPv4 /24 or IPv6 /56 network, or a
     * link-local IPv6 host. Default: `200`.
     */
    readonly perSecond?: number | undefined;
    /** Burst: datagrams answered at once for an idle source. Default: `400`. */
    readonly burst?: number | undefined;
  };
  readonly datagramServiceRate?: {
    /** Sustained rate of datagrams per second that the service answers. Default: `20000`. */
    readonly perSecond?: number | undefined;
    /** Burst: datagrams that an idle service answers at once. Default: `40000`. */
    readonly burst?: number | undefined;
  };
  readonly datagramPrefix?: {
    /** Number of leading bits of an IPv4 address that identify one source of datagrams. Default: `24`. */
    readonly ipv4?: number | undefined;
    /** Number of leading bits of an IPv6 address that identify one source of datagrams. Default: `56`. */
    readonly ipv6?: number | undefined;
  };
  /** Maximum ratio of the size of a reply datagram to that of its request, on the wire. Default: `2`. */
  readonly maxAmplification?: number | undefined;
  /**
   * Source ports to answer even if they are below 1024, served by this daemon or known as reflectors. Default: `[]`.
   */
  readonly allowSourcePorts?: readonly number[] | number | undefined;
  /**
   * Receive buffer to request for a UDP socket. The system may set a lower limit (net.core.rmem_max). Default:
   * `"4MiB"`.
   */
  readonly receiveBuffer?: Size | undefined;
  /**
   * Whether routers may fragment UDP replies, which are then sent over IPv4 without DF. If false, and always over IPv6,
   * replies larger than the path MTU are lost until the system has learned that MTU and fragments them itself. Not
   * available with `sockets: node` and `workers: 0`. Default: `false`.
   */
  readonly fragment?: boolean | undefined;
  /**
   * Whether chargen, qotd, systat and envelope may answer UDP on an address that is not loopback, private or
   * link-local. Think twice: anyone who forges source addresses can abuse them there. Default: `false`.
   */
  readonly exposeUdp?: boolean | undefined;
}

/** The options of the built-in services. */
interface BuiltInOptions {
  readonly echo: object;
  readonly discard: object;
  readonly chargen: object;
  readonly qotd: {
    /** A file of quotations, one per line or separated by lines of a single %. Null is the built-in list. */
    readonly file?: string | null | undefined;
    /** A random quotation for each client, or the same one for everyone all day (UTC). Default: `"random"`. */
    readonly choice?: 'random' | 'daily' | undefined;
  };
  readonly systat: {
    /**
     * What is shown: how many users are logged in, their login names (a privacy decision), or a fixed text. Default:
     * `"count"`.
     */
    readonly show?: 'count' | 'users' | 'text' | undefined;
    /** The text to show if `show` is `text`. */
    readonly text?: string | null | undefined;
  };
  readonly daytime: {
    /** Format of the line. Default: `"rfc867"`. */
    readonly format?: 'rfc867' | 'smtp' | 'ctime' | 'unix' | 'iso8601' | 'nist' | undefined;
    /** The time zone, such as Europe/Paris; null is the machine's. The format nist is always in UTC. */
    readonly zone?: string | null | undefined;
    /**
     * What to do while the system clock is not synchronized with UTC. With `silent`, a TCP connection is closed without
     * data and a datagram is not answered. With `format: nist`, the health digit says so, too. Default: `"answer"`.
     */
    readonly whenUnsynchronized?: 'answer' | 'silent' | undefined;
  };
  readonly time: {
    /**
     * What to do while the system clock is not synchronized with UTC. With `silent`, a TCP connection is closed without
     * data (RFC 868) and a datagram is not answered. Default: `"answer"`.
     */
    readonly whenUnsynchronized?: 'answer' | 'silent' | undefined;
  };
  readonly stamp: {
    /**
     * How replies are numbered: stateless repeats the number of the request, stateful counts the replies of a session.
     * Default: `"stateless"`.
     */
    readonly mode?: 'stateless' | 'stateful' | undefined;
  };
  readonly tcpmux: {
    /**
     * The services of this config that clients may ask for. Their clients are subject to the limits and access rules of
     * tcpmux, not of the service itself. Default: `[]`.
     */
    readonly services?: readonly string[] | string | undefined;
    /** How long a client may take to name a service. `idleTimeout` also applies. Default: `"10s"`. */
    readonly nameTimeout?: Duration | 'never' | undefined;
  };
  readonly finger: {
    /** What is shown (a privacy decision): nothing, the plans of `plans`, or who is logged in. Default: `"refuse"`. */
    readonly show?: 'refuse' | 'plans' | 'users' | undefined;
    /**
     * With `show: plans`: a directory in which each file is the plan of the user that it is named after, or one file
     * that answers every query. It is read whenever a worker starts.
     */
    readonly plans?: string | null | undefined;
  };
  readonly ident: {
    /**
     * What is said of every connection (a privacy decision): `HIDDEN-USER`, the `token`, or a hash of the ID of the
     * user who holds it, with the key in `keyFile`. Default: `"hidden-user"`.
     */
    readonly answer?: 'hidden-user' | 'token' | 'hash' | undefined;
    /** The user name to give if `answer` is `token`. */
    readonly token?: string | null | undefined;
    /**
     * A file with the key of the hash, at least 16 bytes, if `answer` is `hash`. A trailing line ending is not part of
     * the key. Without the key, a hash cannot be traced to a user. The hash is the first 32 digits that `printf
     * uid:1000 | openssl dgst -sha256 -hmac KEY` prints for user ID 1000.
     */
    readonly keyFile?: string | null | undefined;
  };
  readonly envelope: {
    /**
     * Fields of the answer; empty for all. Any of request, namespace, ingress, service, pod, host, listener, transport,
     * local, peer, via, tls, receivedAt, ttl, dscp, connection, sequence. Default: `[]`.
     */
    readonly fields?: readonly string[] | string | undefined;
    /** If true, a stream client gets an envelope as soon as it connects, with an empty `request`. Default: `false`. */
    readonly onConnect?: boolean | undefined;
  };
}
