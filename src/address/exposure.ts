import { isLinkLocal, isLoopback, isPrivate, parseIp } from './ip-address.ts';

/**
 * Whether strangers can reach an address to bind: anything but loopback, private and link-local, so all interfaces
 * too. Also true for what is no address.
 */
export function isExposed(address: string): boolean {
  const ip = parseIp(address.split('%')[0] ?? '');
  return ip === undefined || !(isLoopback(ip) || isPrivate(ip) || isLinkLocal(ip));
}
