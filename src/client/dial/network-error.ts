import { describeSystemError } from '../../system-error-text.ts';

/** Says in words why an address, which may have a zone, cannot be reached. */
export function describeNetworkError(error: unknown, address: string): string {
  const [, zone] = address.split('%');
  const isInvalid = error instanceof Error && 'code' in error && error.code === 'EINVAL';
  if (isInvalid && zone !== undefined) return `this machine has no interface ${zone}`;
  return describeSystemError(error, 'connection');
}
