import { assertWithin } from './arguments.ts';
import { libc } from './libc.ts';

/** The process at the other end of a connected UNIX socket. */
export interface PeerCredentials {
  /** 0 if it is unknown in this process's namespace, see pid_namespaces(7). */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SOL_SOCKET = 1;
const nobody = 0xffffffff;
/** asm-generic/socket.h, and powerpc's own header. */
const SO_PEERCRED = process.arch === 'ppc64' ? 21 : 17;

/** `struct ucred`: pid, uid and gid, 32 bits each. Both buffers are permanent, because the kernel writes to them. */
const credentials = new Uint32Array(new ArrayBuffer(12));
const bytes = new Uint8Array(credentials.buffer);
const length = new Uint32Array(1);

/**
 * The credentials of a UNIX client, recorded by the kernel at connect. Undefined if the system does not report them,
 * and for other kinds of socket. See SO_PEERCRED in unix(7).
 */
export function readPeerCredentials(descriptor: number): PeerCredentials | undefined {
  // -1 is that of a closed socket.
  assertWithin('descriptor', descriptor, -1, 2 ** 31 - 1);
  length[0] = bytes.length;
  if (libc?.getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, bytes, length) !== 0 || length[0] !== bytes.length)
    return undefined;
  const [pid = 0, uid = 0, gid = 0] = credentials;
  // A socket of another kind gives pid 0 and both ids -1. Check the uid: a client in another container also has pid 0.
  return uid === nobody ? undefined : { pid, uid, gid };
}
