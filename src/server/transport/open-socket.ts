import { closeSync, unlinkSync } from 'node:fs';
import { parseIp } from '../../address/ip-address.ts';
import {
  bindUdp,
  boundTo,
  formatInetAddress,
  type InetAddress,
  interfaceIndexOf,
  listenTcp,
  refuseDescriptors,
} from '../../kernel/sockets.ts';
import type { BoundAddress, ListenTarget } from './listener.ts';
import { bindUnix, type FileId, fileIdAt, isSameFile } from './bound-file.ts';

/** A direct socket: listening, or bound for UDP. */
export interface OpenSocket {
  readonly descriptor: number;
  readonly bound: BoundAddress;
  /** The file that a UNIX socket created. */
  readonly file?: FileId;
  /** Of the interface in the zone of a link-local address that was bound, and else 0. */
  readonly interfaceIndex?: number;
}

/** How to open a socket. Missing settings have the defaults of Node. */
export interface SocketSettings {
  readonly backlog?: number | undefined;
  /** UDP only. */
  readonly receiveBufferBytes?: number | undefined;
  /** See `allowOverlap`. */
  readonly mayOverlap?: boolean;
}

/** The kernel allows at most net.core.somaxconn. */
const defaultBacklog = 511;

/** net.core.rmem_default. */
const defaultReceiveBufferBytes = 212_992;

/**
 * Opens a socket, or takes the inherited one of the target. Nobody but the owner can connect to a UNIX socket until its
 * file gets its mode. Throws an error with the system's code.
 */
export function openSocket(target: ListenTarget, settings: SocketSettings = {}): OpenSocket {
  const { backlog = defaultBacklog, receiveBufferBytes = defaultReceiveBufferBytes, mayOverlap = false } = settings;
  if ('fd' in target) {
    if (target.transport === 'unix') refuseDescriptors(target.fd);
    return { descriptor: target.fd, bound: target.bound ?? inheritedAddress(target) };
  }
  if ('path' in target) return openUnix(target.path, backlog);
  const address = inetAddressOf(target);
  const options = { mayOverlap, freebind: target.freebind ?? false };
  const descriptor =
    target.transport === 'tcp' ? listenTcp(address, backlog, options) : bindUdp(address, receiveBufferBytes, options);
  return { descriptor, bound: addressOf(descriptor, target.transport), interfaceIndex: address.interfaceIndex };
}

/** Closes a socket, and removes the file that it created. */
export function closeSocket({ descriptor, bound, file }: OpenSocket): void {
  if (file !== undefined) removeFile(bound.address, file);
  closeSync(descriptor);
}

function openUnix(path: string, backlog: number): OpenSocket {
  return { ...bindUnix(path, backlog), bound: { transport: 'unix', address: path, port: 0 } };
}

/** Removes the file unless it was replaced. Whoever can replace it in between could have removed it as well. */
export function removeFile(path: string, file: FileId): void {
  try {
    if (isSameFile(fileIdAt(path), file)) unlinkSync(path);
  } catch {
    // It is gone, or may not be removed. A later start removes what nobody listens on.
  }
}

function inetAddressOf({ family, address, port }: Extract<ListenTarget, { port: number }>): InetAddress {
  const [, zone] = address.split('%');
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(`not an address: ${address}`);
  return { family, ip, port, interfaceIndex: zone === undefined ? 0 : interfaceIndexOf(zone) };
}

function inheritedAddress({ transport, fd }: Extract<ListenTarget, { fd: number }>): BoundAddress {
  const bound = addressOf(fd, transport);
  return bound.transport === 'unix' && bound.address === '' ? { ...bound, address: `fd ${fd}` } : bound;
}

function addressOf(descriptor: number, transport: BoundAddress['transport']): BoundAddress {
  const bound = boundTo(descriptor);
  if (bound.family === 'unix') return { transport: 'unix', address: bound.path, port: 0 };
  return { transport, address: formatInetAddress(bound), port: bound.port };
}
