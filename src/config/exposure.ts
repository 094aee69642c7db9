import { isLinkLocal, isLoopback, isPrivate, parseIp } from '../address/ip-address.ts';

/**
 * Whether strangers can reach an address to bind: anything but loopback, private and link-local, so all interfaces
 * too. Also true for what is no address.
 */
export function isExposed(address: string): boolean {
  const ip = parseIp(address.split('%')[0] ?? '');
  return ip === undefined || !(isLoopback(ip) || isPrivate(ip) || isLinkLocal(ip));
}

/** Why a kind of service may not answer UDP on an address, and what to do. */
export function exposureMessage(listen: string, type: string, hazard: string): string {
  return (
    `${listen} would answer UDP for strangers, and ${type} is abused there: ${hazard}; ` +
    'listen on a loopback, private or link-local address, use TCP, or set exposeUdp: true if this is really meant'
  );
}
