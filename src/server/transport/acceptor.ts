import type { IpAddress } from '../../address/ip-address.ts';
import type { Clock } from '../../clock/clock.ts';
import type { UnixUser } from '../guard/source-prefix.ts';
import type { SocketOptions } from './socket-options.ts';
import type { BoundAddress, StreamTarget } from './listener.ts';
import type { StreamSocket } from './stream-socket.ts';

/** Accepts the clients of a listening socket. */
export interface Acceptor {
  /** Rejects with the system's error if the target cannot be opened. */
  open(): Promise<BoundAddress>;
  /** Accepts no more clients, and closes the listening socket. */
  close(): void;
  readonly isOpen: boolean;
}

export interface AcceptorEvents {
  /** Whether clients should be left to other processes that share the listening socket. They are, for a short time. */
  leavesToOthers(): boolean;
  /** A TCP client. `source` is undefined if it has already reset the connection. */
  connected(socket: StreamSocket, source: IpAddress | undefined, port: number): void;
  /** A client of a UNIX socket. */
  connectedLocally(socket: StreamSocket, user: UnixUser): void;
  /** The system reports an error of the listening socket. */
  failed(error: Error): void;
}

export interface AcceptorOptions {
  readonly target: StreamTarget;
  readonly socket: SocketOptions;
  readonly clock: Clock;
  /** Whether sockets of our own note their `tcpInfo`, which costs a system call each. */
  readonly readsTcpInfo: boolean;
  readonly events: AcceptorEvents;
}
