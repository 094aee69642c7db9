import type { ListenAddress } from '../../address/listen-address.ts';
import type { AccessRules, DatagramLimits, ProxyRules, StreamLimits } from '../guard/limits.ts';
import type { SocketOptions } from '../transport/socket-options.ts';

export interface ServiceConfig {
  /** The instance's name: the key under `services`. */
  readonly name: string;
  /**
   * The name of the service's module; while a third-party module is not imported, the instance's name.
   */
  readonly type: string;
  /** Of a third-party module, its `file:` URL; while it is not imported, what the config calls it. */
  readonly moduleUrl: string | undefined;
  readonly listen: readonly ListenAddress[];
  readonly access: AccessRules;
  readonly proxy: ProxyRules;
  readonly stream: StreamLimits;
  readonly socket: SocketOptions;
  readonly datagram: DatagramLimits;
  readonly exposeUdp: boolean;
  /** Why the UDP side may be abused; undefined where it may not, and while the module is not imported. */
  readonly udpHazard: string | undefined;
  /** Checked and completed by the module's declarations. */
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
