import { type Cidr, cidrContains } from '../../address/cidr.ts';
import type { IpAddress } from '../../address/ip-address.ts';
import type { AccessRules } from './limits.ts';

/** Whether the source is denied: it matches `deny`, or `allow` is not empty and does not match. `deny` wins. */
export function isDenied(access: AccessRules, ip: IpAddress): boolean {
  return holds(access.deny, ip) || (access.allow.length > 0 && !holds(access.allow, ip));
}

/**
 * Whether the source is exempt from rates and per-source limits. It may still be denied. `isProxied`: the client came
 * through a proxy, even if the PROXY header names no address.
 */
export function isExempt(access: AccessRules, ip: IpAddress, isProxied: boolean = false): boolean {
  return holds(isProxied ? access.exemptByHeader : access.exempt, ip);
}

function holds(list: readonly Cidr[], ip: IpAddress): boolean {
  for (const cidr of list) {
    if (cidrContains(cidr, ip)) return true;
  }
  return false;
}
