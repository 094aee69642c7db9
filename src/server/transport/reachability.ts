import { isLinkLocal, isLoopback, parseIp } from '../../address/ip-address.ts';
import { isExposed } from '../../address/exposure.ts';
import type { BoundAddress } from './listener.ts';

/** From where a listener can be reached, regardless of access lists. Narrowest first. */
export const reaches = ['this machine', 'local links', 'private networks', 'anywhere'] as const;

export type Reach = (typeof reaches)[number];

/** Judges by the bound address alone. Routes and firewalls are unknown here. */
export function reachOf({ transport, address }: BoundAddress): Reach {
  if (transport === 'unix') return 'this machine';
  const ip = parseIp(address);
  if (ip === undefined || isExposed(address)) return 'anywhere';
  if (isLoopback(ip)) return 'this machine';
  return isLinkLocal(ip) ? 'local links' : 'private networks';
}
