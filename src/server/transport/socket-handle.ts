import type { Server, Socket } from 'node:net';
import type { SubordinateIds } from '../../address/subordinate-ids.ts';
import type { UnixUser } from '../guard/source-prefix.ts';
import { duplicate } from '../../kernel/descriptors.ts';
import { bringsDescriptors, setAside } from '../../kernel/sent-descriptors.ts';
import { limitUnsent, refuseDescriptors, takeUrgentBytes } from '../../kernel/sockets.ts';
import { type PeerCredentials, readPeerCredentials } from '../../kernel/peer-credentials.ts';
import { closeUnread } from './unread-clients.ts';

/** The peer's address and port, as Node formats them. */
export interface SocketAddress {
  address: string;
  port: number;
}

/** The undocumented handle under Node's sockets, which may disappear. */
interface Handle {
  readonly fd?: number;
  reading?: boolean;
  readStart?(): number;
  readStop?(): number;
  getpeername?(out: SocketAddress): number;
}

/**
 * Reads the peer's address into `out`. Returns false if the client has already gone. The documented getters are only
 * the fallback: they add a property to every socket, which costs a daytime connection 5% of its throughput.
 * https://nodejs.org/api/net.html#socketremoteaddress
 */
export function readPeerAddress(socket: Socket, out: SocketAddress): boolean {
  const handle = handleOf(socket);
  if (typeof handle?.getpeername === 'function') return handle.getpeername(out) === 0;
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return false;
  out.address = remoteAddress;
  out.port = remotePort;
  return true;
}

/** The process at the other end of a UNIX socket, if the kernel and Node report it. */
export function readPeer(socket: Socket): PeerCredentials | undefined {
  const descriptor = handleOf(socket)?.fd;
  return descriptor === undefined ? undefined : readPeerCredentials(descriptor);
}

/** Makes the kernel refuse descriptors sent to a UNIX socket, or to the clients of a server. */
export function refuseDescriptorsAt(socket: Socket | Server): void {
  const descriptor = (socket as { readonly _handle?: Handle | null })._handle?.fd;
  if (descriptor !== undefined) refuseDescriptors(descriptor);
}

/** Clients whose descriptors cannot be duplicated. Their sockets must not be closed. */
const kept = new Set<Socket>();

/**
 * Ends the connection of a UNIX client that has sent descriptors before its listener refused them, without reading or
 * waiting. Returns whether it is one. Call when it has just been accepted.
 */
export function refuseDescriptorsOfEarly(socket: Socket): boolean {
  const descriptor = handleOf(socket)?.fd;
  if (descriptor === undefined || descriptor < 0 || !bringsDescriptors(descriptor)) return false;
  socket.on('error', () => {});
  if (setAside(descriptor)) {
    socket.destroy();
    return true;
  }
  const copy = duplicate(descriptor);
  if (copy === undefined) {
    stopReading(socket.pause().unref());
    kept.add(socket);
    return true;
  }
  socket.destroy();
  closeUnread(copy);
  return true;
}

/** Bounds what the kernel holds unsent for each client of a server. */
export function limitUnsentAt(server: Server): void {
  const descriptor = (server as { readonly _handle?: Handle | null })._handle?.fd;
  if (descriptor !== undefined) limitUnsent(descriptor);
}

/** Makes urgent bytes arrive like all others. */
export function takeUrgentBytesAt(socket: Socket): void {
  const descriptor = handleOf(socket)?.fd;
  if (descriptor !== undefined) takeUrgentBytes(descriptor);
}

/** The peer's user on a UNIX socket, if the kernel and Node report it. Subordinate ids count as their user. */
export function readPeerUser(socket: Socket, subordinateIds: SubordinateIds): UnixUser {
  const uid = readPeer(socket)?.uid;
  return { uid: uid === undefined ? undefined : subordinateIds.ownerOf(uid) };
}

/**
 * Stops a paused socket from reading. `pause` alone lets it read and buffer one more chunk of 64 KiB, see
 * https://nodejs.org/api/net.html#socketpause. Without the undocumented handle, that chunk is still read.
 */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== true || typeof handle.readStop !== 'function') return;
  // Node does the same.
  handle.reading = false;
  handle.readStop();
}

/** Undoes `stopReading`. `resume` alone does not if the socket was stopped while waiting for data. */
export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== false || typeof handle.readStart !== 'function') return;
  handle.reading = true;
  handle.readStart();
}

function handleOf(socket: Socket): Handle | null | undefined {
  return (socket as Socket & { readonly _handle?: Handle | null })._handle;
}
