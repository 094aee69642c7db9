import { type Cidr, cidrContains } from '../../address/cidr.ts';
import type { IpAddress } from '../../address/ip-address.ts';
import type { AccessRules } from './limits.ts';

/**
 * Whether the source may not be a client: `deny` holds it, or there is an `allow` list and it does not. `deny` wins.
 */
export function isDenied(access: AccessRules, ip: IpAddress): boolean {
  return holds(access.deny, ip) || (access.allow.length > 0 && !holds(access.allow, ip));
}

/**
 * Whether rates and per-source limits do not apply to the source. It may still be denied. `isProxied`: it came through
 * a proxy, whose header names its address, or nobody.
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
