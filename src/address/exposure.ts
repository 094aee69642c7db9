import { isLinkLocal, isLoopback, isPrivate, parseIp } from './ip-address.ts';

/** Whether binding this exposes it to strangers: anything but loopback, private and link-local addresses. */
export function isExposed(address: string): boolean {
  const ip = parseIp(address.split('%')[0] ?? '');
  return ip === undefined || !(isLoopback(ip) || isPrivate(ip) || isLinkLocal(ip));
}
