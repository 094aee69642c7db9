import type { Socket } from 'node:net';

/** The address and port of a socket's other end, as Node spells them. */
export interface PeerAddress {
  address: string;
  port: number;
}

/** What Node's sockets have underneath; undocumented, so perhaps not for ever. */
interface Handle {
  getpeername?(out: PeerAddress): number;
}

/**
 * Reads the other end's address into `out`; false where there is none, as the client is gone already. The documented getters are the second choice:
 * they add a property to every socket, which costs a daytime connection 5 % of its throughput.
 * https://nodejs.org/api/net.html#socketremoteaddress
 */
export function readPeerAddress(socket: Socket, out: PeerAddress): boolean {
  const handle = (socket as Socket & { readonly _handle?: Handle | null })._handle;
  if (typeof handle?.getpeername === 'function') return handle.getpeername(out) === 0;
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return false;
  out.address = remoteAddress;
  out.port = remotePort;
  return true;
}
