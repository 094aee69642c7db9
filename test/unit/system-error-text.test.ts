import { getSystemErrorMap } from 'node:util';
import { expect, test } from 'vitest';
import { describeSystemError } from '../../src/system-error-text.ts';

/** What connect(2), bind(2), listen(2), sendto(2), recv(2), accept(2), open(2) and write(2) can give. */
const codes = [
  'EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBUSY ECONNABORTED ECONNREFUSED ECONNRESET',
  'EDESTADDRREQ EDQUOT EEXIST EFAULT EFBIG EHOSTDOWN EHOSTUNREACH EINPROGRESS EINTR EINVAL EIO EISCONN EISDIR ELOOP',
  'EMFILE EMSGSIZE ENAMETOOLONG ENETDOWN ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT ENOMEM ENOPROTOOPT ENOSPC ENOTCONN',
  'ENOTDIR ENOTSOCK ENXIO EOPNOTSUPP EOVERFLOW EPERM EPIPE EPROTO EPROTONOSUPPORT EPROTOTYPE EROFS ETIMEDOUT ETXTBSY',
].flatMap((line) => line.split(' '));

/** What getaddrinfo(3), as Node reports it, and c-ares can give. */
const nameCodes = [
  'EAI_AGAIN EAI_BADFLAGS EAI_FAIL EAI_FAMILY EAI_MEMORY EAI_NODATA EAI_NONAME EAI_SERVICE ENOTFOUND',
  'EBADNAME EBADRESP ECONNREFUSED EFORMERR ENODATA ENOTIMP EREFUSED ESERVFAIL ETIMEOUT',
].flatMap((line) => line.split(' '));

function failure(code: string): Error {
  return Object.assign(new Error(`connect ${code} 127.0.0.1:7 - Local (0.0.0.0:0)`), { code });
}

test.each(['connection', 'file', 'listener', 'output'] as const)('every error of a %s is in words', (failed) => {
  for (const code of codes) {
    const known = [...getSystemErrorMap().values()].some(([name]) => name === code);
    // Some are unknown to libuv, on any platform: they cannot reach us.
    if (!known) continue;
    expect(describeSystemError(failure(code), failed), code).not.toMatch(/\bE[A-Z_]{3,}\b|127\.0\.0\.1/);
  }
});

test('every error of a name lookup is in words', () => {
  for (const code of nameCodes) expect(describeSystemError(failure(code), 'name'), code).not.toMatch(/\bE[A-Z_]{3,}\b/);
});

test('an error without a code has its message', () => {
  expect(describeSystemError(new Error('it is a FIFO'), 'file')).toBe('it is a FIFO');
  expect(describeSystemError('odd', 'file')).toBe('odd');
});
