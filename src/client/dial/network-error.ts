import type { Outcome } from '../../outcomes.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { IcmpError } from './icmp-error.ts';

/** Says in words why an address, which may have a zone, cannot be reached. */
export function describeNetworkError(error: unknown, address: string): string {
  if (error instanceof IcmpError) return error.message;
  const localReason = localReasons[`${callOf(error)} ${codeOf(error)}`];
  if (localReason !== undefined) return localReason;
  const [, zone] = address.split('%');
  const code = codeOf(error);
  if ((code === 'EINVAL' || code === 'ENODEV') && zone !== undefined) return `this machine has no interface ${zone}`;
  return describeSystemError(error, 'connection');
}

/** By system call and code: what is not available on this machine. */
const localReasons: Readonly<Record<string, string>> = {
  'bind EACCES': 'the source port is privileged, needs root or CAP_NET_BIND_SERVICE',
  'bind EADDRNOTAVAIL': 'this machine does not have the source address',
  'setsockopt ENODEV': 'this machine does not have the interface',
  'setsockopt EPERM': 'not permitted to choose the interface, needs root or CAP_NET_RAW',
};

const outcomesOfCodes: Readonly<Record<string, Outcome>> = {
  ECONNREFUSED: 'refused',
  ENOPROTOOPT: 'refused',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
  EACCES: 'prohibited',
  EPERM: 'prohibited',
  EMSGSIZE: 'too-big',
  ENETUNREACH: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETDOWN: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENONET: 'unreachable',
};

/** How an attempt that failed with this error has ended. What is not known is a failure of this machine. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof IcmpError) return error.outcome;
  const [call, code] = [callOf(error), codeOf(error)];
  if (call === 'bind' || call === 'setsockopt')
    return code === 'EACCES' || code === 'EPERM' ? 'not-permitted' : 'failed';
  return outcomesOfCodes[code] ?? 'failed';
}

function callOf(error: unknown): string {
  return error instanceof Error && 'syscall' in error ? String(error.syscall) : '';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
