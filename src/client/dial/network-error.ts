const words: Readonly<Record<string, string>> = {
  EACCES: 'not permitted (a firewall on this machine?)',
  EADDRINUSE: 'the local port is in use',
  EADDRNOTAVAIL: 'no local address or port is available',
  ECONNABORTED: 'connection aborted',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to the host',
  EMFILE: 'too many open files',
  EMSGSIZE: 'the datagram is too large',
  ENETUNREACH: 'the network is unreachable',
  EPERM: 'not permitted (a firewall on this machine?)',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no answer',
};

/** Describes a system error in words. */
export function describeNetworkError(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return words[code] ?? message;
}

/** Like `describeNetworkError`, without details that differ between connections, for counting errors by kind. */
export function networkErrorKind(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return words[code ?? ''] ?? code ?? message;
}
