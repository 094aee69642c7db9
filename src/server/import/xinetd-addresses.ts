import { formatCidr, prefixOf, readCidr } from '../../address/cidr.ts';
import { isIpv4, isUnspecified, parseIp } from '../../address/ip-address.ts';

/** An element of `only_from` or `no_access`. */
export interface ImportedAddress {
  /** As the file has it. */
  readonly text: string;
  /** What `allow` needs for it. Undefined for names, and for what xinetd reads otherwise than it looks. */
  readonly allow: readonly string[] | undefined;
  /** What `deny` needs for it. To xinetd, a short IPv6 prefix such as `::/0` contains all IPv4 addresses. */
  readonly deny: readonly string[] | undefined;
}

/** Where IPv4-mapped addresses are (RFC 4291 section 2.5.5.2). */
const ipv4Mapped = { w0: 0, w1: 0, w2: 0xffff, w3: 0 };

/** Reads an element of an address list of xinetd.conf(5). */
export function readXinetdAddress(text: string): ImportedAddress {
  // An IPv4-mapped address matches only the clients of IPv6 sockets.
  const isMapped = text.includes(':') && isIpv4(parseIp(text.replace(/\/.*/, '')) ?? prefixOf(ipv4Mapped, 0));
  const ipv4 = isMapped || text.includes('%') ? undefined : (factorized(text) ?? plain(text));
  if (ipv4 !== undefined) return { text, allow: ipv4, deny: ipv4 };
  const block = isMapped ? undefined : masked(text);
  return { text, allow: block?.allow, deny: block?.deny };
}

/**
 * `10.0.0.{1,2}`: the components before the braces and one inside are a block. Unlike without braces, a 0 at the end is
 * not a wildcard.
 */
function factorized(text: string): readonly string[] | undefined {
  const [, before, list = ''] = /^((?:\d{1,3}\.){0,3})\{(\d{1,3}(?:,\d{1,3})*)\}$/.exec(text) ?? [];
  if (before === undefined) return undefined;
  const components = before.split('.');
  const blocks = list.split(',').map((last) => {
    const address = [...components.slice(0, -1), last, '0', '0', '0'].slice(0, 4).join('.');
    return readCidr(`${address}/${components.length * 8}`);
  });
  return blocks.every((block) => typeof block !== 'string') ? blocks.map(formatCidr) : undefined;
}

/** An address. Zeros at the end of an IPv4 address are wildcards. `::` is not, though it looks like one. */
function plain(text: string): readonly string[] | undefined {
  const ip = parseIp(text);
  if (ip === undefined || (text.includes(':') && isUnspecified(ip))) return undefined;
  const prefix = isIpv4(ip) ? 96 + 32 - 8 * trailingZeros(ip.w3) : 128;
  return [formatCidr({ network: ip, prefix })];
}

/** How many of the four octets at the end are 0. */
function trailingZeros(address: number): number {
  return [0xff, 0xffff, 0xff_ffff, 0xffff_ffff].filter((mask) => (address & mask) === 0).length;
}

/** `10.0.0.0/8` or `fd00::/8`. xinetd ignores bits beyond the prefix. It has no form `/255.0.0.0`. */
function masked(text: string): Pick<ImportedAddress, 'allow' | 'deny'> | undefined {
  const [, address = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  const prefix = isIpv4(ip) ? 96 + Number(length) : Number(length);
  if (prefix > 128) return undefined;
  const network = prefixOf(ip, prefix);
  const allow = [formatCidr({ network, prefix })];
  const { w0, w1, w2 } = prefixOf(ipv4Mapped, prefix);
  const containsIpv4 = !isIpv4(ip) && network.w0 === w0 && network.w1 === w1 && network.w2 === w2 && network.w3 === 0;
  return { allow, deny: containsIpv4 ? [...allow, '0.0.0.0/0'] : allow };
}
