import { formatIp, type IpAddress, isIpv4, parseIp } from './ip-address.ts';

/** A block of addresses (RFC 4632, RFC 4291 section 2.3). `prefix` is 0 to 128 in IPv6 space: an IPv4 /24 is /120. */
export interface Cidr {
  readonly network: IpAddress;
  readonly prefix: number;
}

/**
 * Why a text is not a CIDR block: it is malformed, it has a zone (`fe80::1%eth0`), or the address has bits set beyond
 * the prefix (`10.0.0.1/8`).
 */
export type CidrFault = 'malformed' | 'zone' | 'host-bits';

/** The prefix of all IPv4 addresses, `::ffff:0:0/96`. */
const ipv4Prefix = 96;

/**
 * Parses `10.0.0.0/8`, `fc00::/7`, or a bare address as a block of one. Zones are refused, because the block would
 * match on every interface. `::ffff:0:0/96` and longer prefixes are IPv4 blocks.
 */
export function readCidr(text: string): Cidr | CidrFault {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const network = parseIp(address);
  if (network !== undefined && address.includes('%')) return 'zone';
  if (network === undefined) return 'malformed';
  const base = address.includes(':') ? 0 : ipv4Prefix;
  const length = slash < 0 ? 128 - base : parseLength(text.slice(slash + 1), 128 - base);
  if (length < 0) return 'malformed';
  const prefix = base + length;
  return hasHostBits(network, prefix) ? 'host-bits' : { network, prefix };
}

/** Like `readCidr`, without the reason. */
export function parseCidr(text: string): Cidr | undefined {
  const cidr = readCidr(text);
  return typeof cidr === 'string' ? undefined : cidr;
}

/** `10.0.0.0/8` or `fc00::/7`, always with the prefix length. */
export function formatCidr({ network, prefix }: Cidr): string {
  return `${formatIp(network)}/${isIpv4(network) ? prefix - ipv4Prefix : prefix}`;
}

/** Whether the block contains the address. IPv6 blocks, even `::/0`, contain no IPv4 addresses, and vice versa. */
export function cidrContains({ network, prefix }: Cidr, ip: IpAddress): boolean {
  if (prefix < ipv4Prefix && isIpv4(ip)) return false;
  return (
    leadingBits(network.w0 ^ ip.w0, prefix) === 0 &&
    leadingBits(network.w1 ^ ip.w1, prefix - 32) === 0 &&
    leadingBits(network.w2 ^ ip.w2, prefix - 64) === 0 &&
    leadingBits(network.w3 ^ ip.w3, prefix - 96) === 0
  );
}

/** Clears all bits beyond the prefix length (0 to 128, in IPv6 space). */
export function prefixOf(ip: IpAddress, prefix: number): IpAddress {
  return {
    w0: leadingBits(ip.w0, prefix),
    w1: leadingBits(ip.w1, prefix - 32),
    w2: leadingBits(ip.w2, prefix - 64),
    w3: leadingBits(ip.w3, prefix - 96),
  };
}

/** Returns -1 if the text is not a prefix length up to `longest`. */
function parseLength(text: string, longest: number): number {
  const length = /^(?:0|[1-9]\d{0,2})$/.test(text) ? Number(text) : -1;
  return length <= longest ? length : -1;
}

function hasHostBits(ip: IpAddress, prefix: number): boolean {
  const { w0, w1, w2, w3 } = prefixOf(ip, prefix);
  return w0 !== ip.w0 || w1 !== ip.w1 || w2 !== ip.w2 || w3 !== ip.w3;
}

function leadingBits(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word : ((word >>> (32 - bits)) << (32 - bits)) >>> 0;
}
