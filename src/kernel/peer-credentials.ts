import { libc } from './libc.ts';

/** Who opened the other end of a connected UNIX socket. */
export interface PeerCredentials {
  /** 0: it is not known in this process' namespace, see pid_namespaces(7). */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SOL_SOCKET = 1;
const nobody = 0xffffffff;
/** asm-generic/socket.h, and powerpc's own. */
const SO_PEERCRED = process.arch === 'ppc64' ? 21 : 17;

/**
 * `struct ucred`: pid, uid and gid, 32 bits each. Both live as long as the program, so the kernel never writes into
 * memory that is gone.
 */
const credentials = new Uint32Array(new ArrayBuffer(12));
const bytes = new Uint8Array(credentials.buffer);
const length = new Uint32Array(1);

/**
 * The credentials of a UNIX client, as the kernel noted them when it connected; undefined where the system does not
 * tell, and for a socket of another kind. unix(7), SO_PEERCRED
 */
export function readPeerCredentials(descriptor: number): PeerCredentials | undefined {
  length[0] = bytes.length;
  if (libc?.getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, bytes, length) !== 0 || length[0] !== bytes.length)
    return undefined;
  const [pid = 0, uid = 0, gid = 0] = credentials;
  // The kernel has nobody's credentials for a socket that is not a UNIX one: pid 0, and -1 for both ids. The pid alone
  // is 0 for a client in another container, which has no id here.
  return uid === nobody ? undefined : { pid, uid, gid };
}
