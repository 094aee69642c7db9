import { type AddressKind, kindOf } from '../address/address-kind.ts';
import { formatIp, formatIpv6, type IpAddress, isIpv4, parseIp } from '../address/ip-address.ts';
import { SmallservdError } from '../errors.ts';

export interface IpAnswer {
  /** In normal form: a dotted quad, or RFC 5952, with the zone if there is one. */
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly kind: AddressKind | 'v4-mapped';
  /** The IPv4 address inside a v4-mapped address (RFC 4291 section 2.5.5.2). */
  readonly mapped?: { readonly address: string; readonly kind: AddressKind };
}

/** Parses and classifies an IPv4 or IPv6 address. Throws `ADDRESS_INVALID`. */
export async function ip(text: string): Promise<IpAnswer> {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw invalidAddress(text);
  const { address, zone, family } = parsed;
  if (family === 'ipv4') return { address: formatIp(address), family, kind: kindOf(address) };
  const normal = zone === '' ? formatIpv6(address) : `${formatIpv6(address)}%${zone}`;
  if (!isIpv4(address)) return { address: normal, family, kind: kindOf(address) };
  const mapped = { address: formatIp(address), kind: kindOf(address) };
  return { address: normal, family, kind: 'v4-mapped', mapped };
}

export interface ParsedAddress {
  readonly address: IpAddress;
  /** Empty if there is none. */
  readonly zone: string;
  /** The family as written: a v4-mapped address is IPv6. */
  readonly family: 'ipv4' | 'ipv6';
}

/** Returns undefined if the text is not an address. */
export function parseAddress(text: string): ParsedAddress | undefined {
  const [literal = '', ...zones] = text.split('%');
  const zone = zones.join('%');
  const address = parseIp(text);
  // A zone is the name or number of an interface (RFC 4007 section 11.2).
  if (address === undefined || !/^[\w.-]{0,15}$/.test(zone)) return undefined;
  return { address, zone, family: literal.includes(':') ? 'ipv6' : 'ipv4' };
}

export function invalidAddress(text: string): SmallservdError {
  const expected = 'expected IPv4 as in 192.0.2.1, or IPv6 as in 2001:db8::1, without brackets or port';
  return new SmallservdError('ADDRESS_INVALID', `invalid address ${JSON.stringify(text)}: ${expected}`);
}
