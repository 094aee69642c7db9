import type { ListenAddress } from '../../address/listen-address.ts';
import type { AccessRules, DatagramLimits, ProxyRules, StreamLimits } from '../guard/limits.ts';
import type { SocketOptions } from '../transport/socket-options.ts';

export interface ServiceConfig {
  /** The instance's name: the key under `services`. */
  readonly name: string;
  /** Name of the service's module, or the instance's name while a third-party module is not imported. */
  readonly type: string;
  /** `file:` URL of a third-party module, or its name in the config while it is not imported. */
  readonly moduleUrl: string | undefined;
  readonly listen: readonly ListenAddress[];
  readonly access: AccessRules;
  readonly proxy: ProxyRules;
  readonly stream: StreamLimits;
  readonly socket: SocketOptions;
  readonly datagram: DatagramLimits;
  readonly exposeUdp: boolean;
  /** Why the UDP side can be abused; undefined if it cannot, or while the module is not imported. */
  readonly udpHazard: string | undefined;
  /** Validated and completed from the module's declarations. */
  readonly options: Readonly<Record<string, unknown>>;
}

type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogConfig {
  readonly level: LogLevel;
  /** Level of the log line for each closed connection; `off` writes none. */
  readonly connections: 'debug' | 'info' | 'warn' | 'off';
  /** A path, or null for standard output. */
  readonly file: string | null;
}

interface AdminConfig {
  /** Null: disabled. Never UDP. */
  readonly listen: ListenAddress | null;
  /** Host names that requests may use in addition to localhost. */
  readonly hosts: readonly string[];
}

/** A config, validated and complete. */
export interface Config {
  /** 0 runs everything in one process. `auto` is already resolved to a number. */
  readonly workers: number;
  readonly user: string | null;
  readonly group: string | null;
  readonly log: LogConfig;
  readonly shutdown: { readonly graceMs: number };
  /** Applies to clients of the config that was replaced. */
  readonly reload: { readonly graceMs: number };
  readonly admin: AdminConfig;
  readonly services: readonly ServiceConfig[];
}
