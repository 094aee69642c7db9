import { networkInterfaces } from 'node:os';
import { formatIp, type IpAddress, parseIp } from '../../address/ip-address.ts';
import { hasSockets, interfaceIndexOf, interfaceNameOf } from '../../kernel/sockets.ts';

/** Formats the address of a peer, with the zone of a link-local one: `fe80::1%eth0`. */
export function formatPeer(ip: IpAddress): string {
  const { zone = 0 } = ip;
  return zone === 0 ? formatIp(ip) : `${formatIp(ip)}%${nameOfZone(zone)}`;
}

/** Parses the address of a peer, as Node formats it. */
export function parsePeer(text: string): IpAddress | undefined {
  const ip = parseIp(text);
  const at = text.indexOf('%');
  return ip === undefined || at < 0 ? ip : { ...ip, zone: zoneOf(text.slice(at + 1)) };
}

/** The name of an interface, or its index as text if it is gone. */
export function nameOfZone(index: number): string {
  if (hasSockets) return interfaceNameOf(index);
  const named = Object.entries(networkInterfaces()).find(([, each]) =>
    each?.some((address) => address.family === 'IPv6' && address.scopeid === index),
  );
  return named?.[0] ?? String(index);
}

/** The index of an interface, or 0 if it is gone. */
function zoneOf(name: string): number {
  if (/^\d+$/.test(name)) return Number(name);
  try {
    if (hasSockets) return interfaceIndexOf(name);
    const addresses = networkInterfaces()[name] ?? [];
    return addresses.flatMap((each) => (each.family === 'IPv6' ? each.scopeid : [])).find((index) => index > 0) ?? 0;
  } catch {
    return 0;
  }
}
