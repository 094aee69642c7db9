import type { ListenOptions } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import type { ResolvedAddress } from '../../address/resolve.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';

/** Where to open a listener. `fd` is an inherited descriptor, and `bound` says where it is bound, if known. */
export type ListenTarget = StreamTarget | DatagramTarget;

export type StreamTarget =
  | ({ readonly transport: 'tcp' } & NetworkAddress)
  | { readonly transport: 'unix'; readonly path: string; readonly access?: SocketAccess }
  | { readonly transport: 'tcp' | 'unix'; readonly fd: number; readonly bound?: BoundAddress };

export type DatagramTarget =
  | ({ readonly transport: 'udp' } & NetworkAddress)
  | {
      readonly transport: 'udp';
      readonly family: 'ipv4' | 'ipv6';
      readonly fd: number;
      readonly bound?: BoundAddress;
      /** Descriptor of the memory for the flows of its proxies. Missing if another process does not provide it. */
      readonly flowMemory?: number | undefined;
    };

/** Owner, group and mode of a UNIX socket's file, set by the process that opens it. Missing if that is another. */
export interface SocketAccess {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** `freebind`: open it even if this machine does not have the address yet. Undefined if no key of the config asks. */
type NetworkAddress = Pick<ResolvedAddress, 'family' | 'address' | 'port'> & { readonly freebind?: boolean };

/** Where a listener is actually bound. */
export interface BoundAddress {
  readonly transport: 'tcp' | 'udp' | 'unix';
  /** A literal address, or the path of a UNIX socket. */
  readonly address: string;
  /** 0 for a UNIX socket. */
  readonly port: number;
}

/** `suspend` stops new clients, `drain` waits for current ones, and `destroy` drops the rest. */
export interface Listener {
  /** Rejects with the system's error if the target cannot be opened. */
  open(): Promise<BoundAddress>;
  suspend(): void;
  drain(): Promise<void>;
  destroy(): void;
  /** Replaces the faults, for new clients and datagrams. Undefined: none. */
  setFaults(faults: ServiceFaults | undefined): void;
}

/** How `node:net` opens a stream target. */
export function listenOptions(target: ListenTarget): ListenOptions {
  // Node's types lack `fd`.
  if ('fd' in target) return { fd: target.fd } as ListenOptions;
  if (target.transport === 'unix') return { path: target.path };
  // Separate sockets for the two families, so there are no IPv4-mapped peers and each family has its own limits.
  return { host: target.address, port: target.port, ipv6Only: target.family === 'ipv6' };
}

/** Formats an address as the config takes it: `tcp://127.0.0.1:1200`, `udp://[::1]:1200` or `unix:///run/echo.sock`. */
export function formatBoundAddress({ transport, address, port }: BoundAddress): string {
  if (transport === 'unix') return `unix://${address.replaceAll(/[%?]/g, encodeURIComponent)}`;
  return `${transport}://${formatHostPort(address, port)}`;
}
