import { networkInterfaces } from 'node:os';
import { isBroadcast, isIpv4, parseIp } from '../../address/ip-address.ts';

type Interfaces = ReturnType<typeof networkInterfaces>;

/** Whether an address is 255.255.255.255, or the broadcast address of a network that this machine is in. */
export function isBroadcastAddress(address: string, interfaces: () => Interfaces = networkInterfaces): boolean {
  const ip = parseIp(address);
  if (ip === undefined || !isIpv4(ip)) return false;
  return isBroadcast(ip) || broadcastWords(interfaces).includes(ip.w3);
}

/** As 32-bit words. None if the system does not tell: a sandbox without AF_NETLINK cannot list interfaces. */
function broadcastWords(interfaces: () => Interfaces): readonly number[] {
  let own: Interfaces;
  try {
    own = interfaces();
  } catch {
    return [];
  }
  const networks = Object.values(own).flatMap((each = []) => each.filter(({ family }) => family === 'IPv4'));
  return networks.flatMap(({ address, netmask }) => {
    const [word, mask] = [parseIp(address)?.w3, parseIp(netmask)?.w3];
    // A /31 or /32 has no broadcast address (RFC 3021).
    return word === undefined || mask === undefined || ~mask >>> 0 <= 1 ? [] : [(word | ~mask) >>> 0];
  });
}
