import { getSystemErrorMap } from 'node:util';

/** What failed. One code means different things for different undertakings. */
export type Failed = 'connection' | 'file' | 'listener' | 'name' | 'output';

const notRouted = 'not permitted (a firewall on this machine?)';
const noNameServer = 'no name server answers';

/**
 * Where the system's own words mislead, or could be clearer. `name` has the codes of getaddrinfo(3) and of c-ares, with
 * which Node asks for DNS records.
 */
const words: Readonly<Record<Failed, Readonly<Record<string, string>>>> = {
  connection: {
    EACCES: notRouted,
    EADDRINUSE: 'the local port is in use',
    EADDRNOTAVAIL: 'no local address or port is available',
    EAFNOSUPPORT: 'this machine does not have that address family',
    ECONNABORTED: 'connection aborted',
    ECONNREFUSED: 'connection refused',
    ECONNRESET: 'connection reset',
    EHOSTUNREACH: 'no route to the host',
    EINVAL: 'not a valid destination (a link-local address needs its interface, as in fe80::1%eth0)',
    EMSGSIZE: 'the datagram is too large',
    ENETUNREACH: 'the network is unreachable',
    ENOENT: 'there is no such socket',
    EPERM: notRouted,
    EPIPE: 'the connection was closed',
    ETIMEDOUT: 'no answer',
  },
  file: {
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
    ELOOP: 'too many symbolic links',
    ENAMETOOLONG: 'the path is too long',
    ENOENT: 'no such file',
    ENOTDIR: 'a part of the path is not a directory',
    EPERM: 'permission denied',
    EROFS: 'its file system is read-only',
  },
  listener: {
    EISDIR: 'it is a directory',
    ELOOP: 'too many symbolic links',
    ENAMETOOLONG: 'the path is too long',
    ENOTDIR: 'a part of the path is not a directory',
    EROFS: 'its file system is read-only',
  },
  name: {
    EAI_AGAIN: noNameServer,
    EAI_FAIL: 'the name server failed',
    ECONNREFUSED: noNameServer,
    ENODATA: 'no such record',
    ENOTFOUND: 'no such name',
    EBADNAME: 'not a valid name',
    EBADRESP: 'the name server sent an invalid answer',
    EFORMERR: 'the name server did not understand the query',
    ENOTIMP: 'the name server does not support the query',
    EREFUSED: 'the name server refuses to answer',
    ESERVFAIL: 'the name server failed',
    ETIMEOUT: noNameServer,
  },
  output: {},
};

/** Describes a system error in words, never by its code alone. Other errors have their message. */
export function describeSystemError(error: unknown, failed: Failed): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return words[failed][code] ?? systemWords(code) ?? error.message;
}

/** Says which directory on the way to a file is missing, where `no such file` would mislead. */
export function noDirectory(path: string): string {
  return `there is no directory ${path}`;
}

/** The words of libuv, such as `too many open files`. */
function systemWords(code: string): string | undefined {
  for (const [name, text] of getSystemErrorMap().values()) if (name === code) return text;
  return undefined;
}
