import { parseIp } from '../../address/ip-address.ts';
import { type InetAddress, interfaceIndexOf } from '../../kernel/sockets.ts';
import type { HostAddress } from './resolve-host.ts';

/** The address as the kernel takes it. Throws `ENODEV` if this machine lacks the interface that its zone names. */
export function inetAddress({ address, family }: HostAddress, port: number): InetAddress {
  const [text = '', zone] = address.split('%');
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`not an address: ${JSON.stringify(address)}`);
  return { family, ip, port, interfaceIndex: zone === undefined ? 0 : zoneIndex(zone) };
}

/** A zone is the name of an interface, or its index (RFC 4007 section 11.2). Throws `ENODEV` if there is none. */
export function zoneIndex(zone: string): number {
  return /^\d{1,9}$/.test(zone) ? Number(zone) : interfaceIndexOf(zone);
}
