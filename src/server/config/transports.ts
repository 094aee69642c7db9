import type { ServiceModule } from '../../service.ts';

/** Returns why a service of this type may not listen there: it would never answer. Undefined if it may. */
export function transportFault(
  listen: string,
  transport: 'tcp' | 'udp' | 'unix',
  type: string,
  only: ServiceModule['transport'],
): string | undefined {
  if (only === undefined || (transport === 'udp') === (only === 'udp')) return undefined;
  const expected = only === 'udp' ? 'a UDP address' : 'a TCP or UNIX address';
  return `${listen}: ${type} answers over ${only.toUpperCase()} only: expected ${expected}`;
}
