/**
 * The contract between services and transports. Types only, except for `ConfigError`, which a service throws from
 * `create`.
 *
 * A service turns bytes into bytes. It never holds a socket, timer or limit. Those belong to the transports, so no
 * service can forget a guard.
 */

/** A client's address. A UNIX client has an empty address and port 0. */
export interface PeerAddress {
  readonly family: 'ipv4' | 'ipv6' | 'unix';
  /** As text. An IPv4-mapped IPv6 address is given as IPv4, a link-local one with its interface: `fe80::1%eth0`. */
  readonly address: string;
  readonly port: number;
}

/** Why a connection ended. A fixed set, used as a label in logs and metrics. */
export type CloseReason =
  | 'completed'
  | 'client-reset'
  | 'client-lost'
  | 'idle'
  | 'stalled'
  | 'lifetime'
  | 'quota'
  | 'evicted'
  | 'shutdown'
  | 'service-error'
  | 'fault';

/** A structured log. Messages must be constant text. Data from a peer belongs in fields. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A number that only grows, in metrics and status. */
export interface Counter {
  /** Adds a whole number of at least 0; 1 by default. Throws `RangeError`. */
  add(amount?: number): void;
}

/** The daemon's facilities for a service. */
export interface ServiceContext {
  /** The wall clock, for answers only. Limits never depend on it. */
  now(): Date;
  /** The same in microseconds since 1970, as exactly as the system tells: with koffi, to the microsecond. */
  nowUs(): number;
  /** False if the wall clock is earlier than the release of this build, and so must be wrong. */
  clockIsSet(): boolean;
  /** Whether the system keeps the wall clock in step with UTC. False if it does not tell, as without koffi. */
  clockIsSynchronized(): boolean;
  /** How wrong the wall clock may be, in microseconds: 16 seconds if it is not synchronized. */
  clockErrorUs(): number;
  /** A random number from 0 up to, but not including, 1. */
  random(): number;
  /**
   * Runs a task now and again `ms` milliseconds after each run ends, from start to close. A task that rejects is logged
   * and runs again. Nothing runs while a config is only being checked.
   */
  every(ms: number, task: () => Promise<void>): void;
  /**
   * Runs a task once, `ms` milliseconds from now (0 to 24 days; never if Infinity), for an answer that comes late.
   * Returns a function that cancels it; call it in `closed`, or tasks of clients that are gone pile up. A task that
   * throws or rejects is logged, and nothing else is affected. None runs before the service starts or after it has
   * stopped. Throws `RangeError`.
   */
  after(ms: number, task: () => void | Promise<void>): () => void;
  /**
   * Declares a counter of the service: `smallservd_service_NAME_total` in the metrics, `custom` in the status, summed
   * over all workers. For the same name returns the same one, with its first help text. There are no labels: a value
   * that comes from a peer would let strangers make metrics without end. `name` begins with a letter, consists of a-z,
   * 0-9 and `_`, has at most 48 characters, does not end in `_total`, and is not `constructor` or `prototype`. `help`
   * is a sentence of at most 120 characters of printable ASCII. Throws an Error for others, and for more than 16
   * counters.
   */
  counter(name: string, help: string): Counter;
  /** All services of the config by name, so that a service can hand its clients on. Complete before `create`. */
  readonly services: ReadonlyMap<string, NamedService>;
  readonly log: Log;
}

/** A service of the config, as the other services see it. */
export interface NamedService {
  /** The name of its module, such as `echo`. */
  readonly type: string;
  /** The only transport over which it answers; undefined for both. */
  readonly transport: ServiceModule['transport'];
  /**
   * Serves a client that another service has accepted, as `Service.stream` does. That service passes on to the handlers
   * everything that happens to the client. Its limits and access rules apply, not those of this service. Throws before
   * all services are created.
   */
  stream(client: Client): StreamHandlers | undefined | void;
}

/** A connected client. Written bytes must not change afterwards, because the transport may still hold them. */
export interface Client {
  readonly peer: PeerAddress;
  /** The address and port that it connected to, such as `192.0.2.1:13`, or `unix:/path`. */
  readonly local: string;
  /** The listener, as its address in the config: `tcp://0.0.0.0:13`. */
  readonly listener: string;
  /** Address and port of the proxy whose PROXY header named this client. Undefined if it connected directly. */
  readonly via: string | undefined;
  /** Sends bytes. Reading pauses while the client is slow to accept them. Does nothing once the client has ended. */
  write(bytes: Uint8Array): void;
  /** Flushes, sends FIN, discards further input, lingers, then closes. */
  end(bytes?: Uint8Array): void;
  /**
   * Stops reading until `resume`: for a service whose answers are larger than the requests, and must not pile up. What
   * was read before may still arrive.
   */
  pause(): void;
  resume(): void;
}

/** Handlers for a client's stream. The transport calls them synchronously. */
export interface StreamHandlers {
  /** The client sent data, valid only during the call. Copy anything you keep, but passing it to `write` is fine. */
  data?(chunk: Uint8Array): void;
  /** The client has finished sending. Default: `client.end()`. */
  end?(): void;
  /** Everything written has been sent, so more can be written. */
  drained?(): void;
  /** The connection has closed. */
  closed?(reason: CloseReason): void;
}

/** Where a datagram came from and was sent to. Valid during the call of `datagram` only. */
export interface DatagramOrigin {
  /** The client, also if a proxy has sent the datagram for it. */
  readonly peer: PeerAddress;
  /** Address and port of the proxy whose PROXY header named the client. Undefined if it came directly. */
  readonly via: string | undefined;
  /** The address that it was sent to. With `sockets: node`, where the listener is bound, which may be a wildcard. */
  readonly local: PeerAddress;
  /** The listener, as its address in the config: `udp://0.0.0.0:13`. */
  readonly listener: string;
  /** When it arrived, in microseconds since 1970, by the wall clock. */
  readonly receivedAtUs: number;
  /** Time to live (IPv4) or hop limit (IPv6). Undefined if the system does not tell, as with `sockets: node`. */
  readonly ttl: number | undefined;
  /** Differentiated services code point, 0 to 63 (RFC 2474). Undefined if the system does not tell. */
  readonly dscp: number | undefined;
  /** Explicit congestion notification, 0 to 3 (RFC 3168). Undefined if the system does not tell. */
  readonly ecn: number | undefined;
}

/** A running service. */
export interface Service {
  /** Whether `datagram` reads `ttl`, `dscp`, `ecn` or `receivedAtUs`. Telling them costs the system time. */
  readonly readsHeaders?: boolean;
  /**
   * Whether a reply leaves before the next datagram is read, with the DSCP of its request: for measurements, whose
   * replies say when they left. Each then costs a system call. `sockets: node` does not set the DSCP.
   */
  readonly repliesAtOnce?: boolean;
  /** A client connected. Return handlers for its data, or nothing to have the data discarded. */
  stream?(client: Client): StreamHandlers | undefined | void;
  /**
   * Answers a datagram synchronously. `undefined` means no answer. `limit` is the largest single reply, in bytes, that
   * the guard allows. Of several replies, it sends the longest prefix whose total size on the wire fits.
   */
  datagram?(request: Uint8Array, limit: number, from: DatagramOrigin): Uint8Array | readonly Uint8Array[] | undefined;
  close?(): void;
}

/** How to parse the text of an option: one of the config's formats, or a list of allowed words. */
export type OptionFormat = FormatName | readonly string[];

/** The formats available for options. docs/CONFIG.md describes what each accepts. */
export type FormatName =
  | 'string'
  | 'boolean'
  | 'count'
  | 'ratio'
  | 'port'
  | 'ports'
  | 'duration'
  | 'size'
  | 'cidrs'
  | 'file'
  | 'timezone'
  | 'strings';

/** An option with its documentation, format and default. A `null` default makes it optional. */
export interface OptionSpec<Value> {
  readonly doc: string;
  readonly format: OptionFormat;
  readonly default: Value;
}

export type OptionsSchema<Options> = { readonly [Key in keyof Options]: OptionSpec<Options[Key]> };

/** A kind of service, which the config names as `type` or loads as `module`. */
export interface ServiceModule<Options = Record<string, never>> {
  /** Such as `echo`: used in the config, the log, metric labels and file names. */
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  readonly rfc?: number;
  /** Assigned by IANA. */
  readonly port?: number;
  /** The only transport over which it answers: it may not listen on another. `tcp` includes UNIX sockets. */
  readonly transport?: 'tcp' | 'udp';
  /** Why its UDP side can be abused. If set, UDP on a public address requires `exposeUdp: true`. */
  readonly udpHazard?: string;
  /** The default `maxAmplification` of this kind. */
  readonly maxAmplification?: number;
  readonly options: OptionsSchema<Options>;
  /** Reads and checks everything the options refer to. Throws `ConfigError`. Also called by `check`. */
  create(options: Options, context: ServiceContext): Service | Promise<Service>;
}

/**
 * Thrown by a service's `create` for an invalid file or option. A message that starts with a verb (`is required`) is
 * about the option.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** The option at fault, if any. */
  readonly option: string | undefined;
  readonly file: string | undefined;
  /** Counted from 1. */
  readonly line: number | undefined;

  constructor(message: string, where: { option?: string; file?: string; line?: number } = {}) {
    super(message);
    this.option = where.option;
    this.file = where.file;
    this.line = where.line;
  }
}
