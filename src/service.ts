/**
 * THE contract between a service and the transports. Types only, but for `ConfigError`, which a service throws from
 * `create`.
 *
 * A service turns bytes into bytes. It never holds a socket, a timer or a limit: the transports around it do, so no
 * service can forget a guard.
 */

/** Where a client comes from. A UNIX client has an empty address and port 0. */
export interface PeerAddress {
  readonly family: 'ipv4' | 'ipv6' | 'unix';
  /** As text; an IPv4-mapped IPv6 address is given as the IPv4 address. */
  readonly address: string;
  readonly port: number;
}

/** Why a connection ended; a closed set, which logs and metrics use as a label. */
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
  | 'service-error';

/** A structured log. The message is the program's own text: what a peer sent goes only into fields. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the daemon lends to a service. */
export interface ServiceContext {
  /** The wall clock. Answers depend on it; limits never do. */
  now(): Date;
  /** False while the wall clock stands before the release of this build, so cannot be right. */
  clockIsSet(): boolean;
  /** A number from 0 up to, but not including, 1. */
  random(): number;
  /**
   * Runs a task now and then again and again, `ms` milliseconds after the last run ended, from start to close. A task
   * that rejects is logged and runs again. While a config is only being checked nothing runs.
   */
  every(ms: number, task: () => Promise<void>): void;
  readonly log: Log;
}

/** One connected client. What is written must not change afterwards: the transport may still hold it. */
export interface Client {
  readonly peer: PeerAddress;
  /**
   * Sends bytes. While the client is slow to take them, reading from it pauses by itself. Does nothing once the client
   * has ended.
   */
  write(bytes: Uint8Array): void;
  /** Flushes, sends FIN, discards what still arrives, lingers, then destroys. */
  end(bytes?: Uint8Array): void;
}

/** What a service does with one client's stream. Every handler is called synchronously by the transport. */
export interface StreamHandlers {
  /**
   * The client sent bytes. They are only valid during the call: copy what you keep; passing them to `write` is fine.
   */
  data?(chunk: Uint8Array): void;
  /** The client has finished sending. Without this handler, `client.end()`. */
  end?(): void;
  /** All that was written has left: write more. */
  drained?(): void;
  /** The connection is gone. */
  closed?(reason: CloseReason): void;
}

/** A running service. */
export interface Service {
  /** A client connected. Return what to do with its bytes; return nothing and they are read and thrown away. */
  stream?(client: Client): StreamHandlers | undefined | void;
  /**
   * One request, one reply: synchronous, without a socket. `undefined` means silence. `limit` is the largest single
   * reply in bytes that the guard lets through; of several, the guard sends the longest prefix whose sizes on the wire
   * together fit.
   */
  datagram?(request: Uint8Array, limit: number): Uint8Array | readonly Uint8Array[] | undefined;
  close?(): void;
}

/** How the text of an option is read: one of the config's own formats, or a list of the words allowed. */
export type OptionFormat = FormatName | readonly string[];

/** The formats that options can name; see docs/CONFIG.md for what each accepts. */
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

/**
 * One option: its documentation, how it is read, and what it is when not given. `null` as default makes it optional.
 */
export interface OptionSpec<Value> {
  readonly doc: string;
  readonly format: OptionFormat;
  readonly default: Value;
}

export type OptionsSchema<Options> = { readonly [Key in keyof Options]: OptionSpec<Options[Key]> };

/** A kind of service: what the config can name as its `type`, or load as a `module`. */
export interface ServiceModule<Options = Record<string, never>> {
  /** `echo`: the config word, the log field, the metric label, the file name. */
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  readonly rfc?: number;
  /** Assigned by IANA. */
  readonly port?: number;
  /** Why its UDP side may be abused; then UDP on a public address needs `exposeUdp: true`. */
  readonly udpHazard?: string;
  /** The `maxAmplification` of this kind where the config says nothing. */
  readonly maxAmplification?: number;
  readonly options: OptionsSchema<Options>;
  /** Reads and checks what the options name; throws `ConfigError`. `check` calls it too. */
  create(options: Options, context: ServiceContext): Service | Promise<Service>;
}

/** What a service throws from `create` when a file or an option is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** The option at fault, if it is one. */
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
