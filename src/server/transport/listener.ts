import { formatHostPort } from '../../address/host-port.ts';

/** What a listener is opened on. `fd` is an inherited descriptor. */
export type ListenTarget = StreamTarget | DatagramTarget;

export type StreamTarget =
  | ({ readonly transport: 'tcp' } & NetworkAddress)
  | { readonly transport: 'unix'; readonly path: string; readonly access?: SocketAccess }
  | { readonly transport: 'tcp' | 'unix'; readonly fd: number };

export type DatagramTarget =
  | ({ readonly transport: 'udp' } & NetworkAddress)
  | { readonly transport: 'udp'; readonly family: 'ipv4' | 'ipv6'; readonly fd: number };

/**
 * Who may connect to a UNIX socket: what its file is given by the process that opens it. A target without it is opened
 * for another process.
 */
export interface SocketAccess {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

interface NetworkAddress {
  readonly family: 'ipv4' | 'ipv6';
  /** A literal. */
  readonly address: string;
  /** 0: the system chooses. */
  readonly port: number;
}

/** Where a listener really listens. */
export interface BoundAddress {
  readonly transport: 'tcp' | 'udp' | 'unix';
  /** A literal address, or the path of a UNIX socket. */
  readonly address: string;
  /** 0 for a UNIX socket. */
  readonly port: number;
}

/** Three separate verbs end a listener: `suspend` what arrives, `drain` what is there, `destroy` what is left. */
export interface Listener {
  /** Rejects with the system's error when the target cannot be opened. */
  open(): Promise<BoundAddress>;
  /** Takes no new client from now on. */
  suspend(): void;
  /** Resolves when nobody is being served any more. */
  drain(): Promise<void>;
  /** Ends whoever is left. */
  destroy(): void;
}

/** `tcp://127.0.0.1:1200`, `udp://[::1]:1200` or `unix:///run/echo.sock`: as a config may have it. */
export function formatBoundAddress({ transport, address, port }: BoundAddress): string {
  if (transport === 'unix') return `unix://${address.replaceAll(/[%?]/g, encodeURIComponent)}`;
  return `${transport}://${formatHostPort(address, port)}`;
}
