import type { Outcome } from '../../outcomes.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { IcmpError } from './icmp-error.ts';

/** Says in words why an address, which may have a zone, cannot be reached. */
export function describeNetworkError(error: unknown, address: string): string {
  if (error instanceof IcmpError) return error.message;
  const [, zone] = address.split('%');
  const code = codeOf(error);
  if ((code === 'EINVAL' || code === 'ENODEV') && zone !== undefined) return `this machine has no interface ${zone}`;
  return describeSystemError(error, 'connection');
}

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
  EADDRINUSE: 'failed',
  EMFILE: 'failed',
  ENFILE: 'failed',
  ENOBUFS: 'failed',
  ENOMEM: 'failed',
};

/** How an attempt that failed with this error has ended. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof IcmpError) return error.outcome;
  return outcomesOfCodes[codeOf(error)] ?? 'unreachable';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
