import { expect, test } from 'vitest';
import { outcomeOf } from '../../../../src/client/dial/network-error.ts';

test.each([
  ['connect', 'ENETUNREACH', 'unreachable'],
  ['connect', 'EHOSTDOWN', 'unreachable'],
  ['connect', 'ECONNREFUSED', 'refused'],
  ['connect', 'EADDRNOTAVAIL', 'failed'],
  ['socket', 'EAFNOSUPPORT', 'failed'],
  ['bind', 'EACCES', 'not-permitted'],
  ['epoll_ctl', 'ENOSPC', 'failed'],
])('%s that fails with %s is %s', (syscall, code, outcome) => {
  expect(outcomeOf(Object.assign(new Error(code), { syscall, code }))).toBe(outcome);
});
