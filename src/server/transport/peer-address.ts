import type { Socket } from 'node:net';
import type { SubordinateIds } from '../../address/subordinate-ids.ts';
import type { UnixUser } from '../guard/source-prefix.ts';
import { readPeerCredentials } from '../../kernel/peer-credentials.ts';

/** The address and port of a socket's other end, as Node spells them. */
export interface PeerAddress {
  address: string;
  port: number;
}

/** What Node's sockets have underneath; undocumented, so perhaps not for ever. */
interface Handle {
  readonly fd?: number;
  getpeername?(out: PeerAddress): number;
}

/**
 * Reads the other end's address into `out`; false where there is none, as the client is gone already. The documented
 * getters are the second choice: they add a property to every socket, which costs a daytime connection 5 % of its
 * throughput. https://nodejs.org/api/net.html#socketremoteaddress
 */
export function readPeerAddress(socket: Socket, out: PeerAddress): boolean {
  const handle = handleOf(socket);
  if (typeof handle?.getpeername === 'function') return handle.getpeername(out) === 0;
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return false;
  out.address = remoteAddress;
  out.port = remotePort;
  return true;
}

/**
 * The user at the other end of a UNIX socket, as far as the kernel and Node tell. One who takes another of his ids is
 * the same user.
 */
export function readPeerUser(socket: Socket, subordinateIds: SubordinateIds): UnixUser {
  const descriptor = handleOf(socket)?.fd;
  const uid = descriptor === undefined ? undefined : readPeerCredentials(descriptor)?.uid;
  return { uid: uid === undefined ? undefined : subordinateIds.ownerOf(uid) };
}

function handleOf(socket: Socket): Handle | null | undefined {
  return (socket as Socket & { readonly _handle?: Handle | null })._handle;
}
