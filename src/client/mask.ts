import { formatIp, formatIpv6, type IpAddress } from '../address/ip-address.ts';
import { type AddressBits, classfulPrefix, prefixOfMask, subnetOf } from '../address/subnet.ts';
import { SmallservdError } from '../errors.ts';
import { invalidAddress, parseAddress } from './ip.ts';

/** An address, its mask and the resulting network. All addresses are in normal form. */
export interface MaskAnswer {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  /** The class that determined the mask, if none was given (RFC 791 section 3.2). */
  readonly class?: 'A' | 'B' | 'C';
  /** `255.255.255.0`, or for IPv6 `ffff:ffff:ffff:ffff::`. */
  readonly mask: string;
  /** `ffffff00`: 8 digits, or 32 for IPv6. */
  readonly hexMask: string;
  readonly prefix: number;
  readonly network: string;
  /** The address with the network bits cleared: `0.0.0.7`. */
  readonly hostPart: string;
  /** Missing for IPv6, and for networks of one or two addresses (RFC 3021). */
  readonly broadcast?: string;
  readonly firstHost: string;
  readonly lastHost: string;
  readonly hosts: bigint;
}

/**
 * Applies a mask to an address. `text` is `ADDRESS/PREFIX`, `ADDRESS/MASK` or `ADDRESS`, which uses `mask` or, for
 * IPv4, the mask of its class. Throws `ADDRESS_INVALID`, and `ARGUMENT_INVALID` if there is no mask or there are two.
 */
export async function mask(text: string, separateMask?: string): Promise<MaskAnswer> {
  const slash = text.indexOf('/');
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const parsed = parseAddress(addressText);
  if (parsed === undefined || parsed.zone !== '') throw invalidAddress(addressText);
  const { address, family } = parsed;
  const bits = family === 'ipv4' ? 32 : 128;
  const format = family === 'ipv4' ? formatIp : formatIpv6;
  if (slash >= 0 && separateMask !== undefined)
    throw new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(text)} already has a mask: remove the second`);
  const given = slash < 0 ? separateMask : text.slice(slash + 1);
  const implied = given === undefined ? impliedPrefix(address, text, bits) : undefined;
  const prefix = implied?.prefix ?? parsePrefix(given ?? '', bits);
  const subnet = subnetOf(address, prefix, bits);
  return {
    address: format(address),
    family,
    ...(implied !== undefined && { class: implied.class }),
    mask: format(subnet.mask),
    hexMask: formatHex(subnet.mask, bits),
    prefix,
    network: format(subnet.network),
    hostPart: format(subnet.hostPart),
    ...(subnet.broadcast !== undefined && { broadcast: format(subnet.broadcast) }),
    firstHost: format(subnet.firstHost),
    lastHost: format(subnet.lastHost),
    hosts: subnet.hosts,
  };
}

function impliedPrefix(address: IpAddress, text: string, bits: AddressBits): ReturnType<typeof classfulPrefix> {
  const implied = bits === 32 ? classfulPrefix(address) : undefined;
  if (implied !== undefined) return implied;
  const reason = bits === 32 ? 'is of class D or E, which has no default mask' : 'is IPv6, which has no default mask';
  throw new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(text)} ${reason}: expected ${text}/PREFIX`);
}

/** Parses `24` or `255.255.255.0` as a prefix length. */
function parsePrefix(given: string, bits: AddressBits): number {
  if (/^(?:0|[1-9]\d{0,2})$/.test(given) && Number(given) <= bits) return Number(given);
  const parsed = /[.:]/.test(given) ? parseAddress(given) : undefined;
  const isMask = parsed?.zone === '' && (parsed.family === 'ipv4') === (bits === 32);
  const prefix = isMask ? prefixOfMask(parsed.address, bits) : undefined;
  if (prefix !== undefined) return prefix;
  const example = bits === 32 ? '255.255.0.0' : 'ffff::';
  const expected = isMask
    ? 'all ones before all zeros'
    : `a prefix length from 0 to ${bits}, or a mask as in ${example}`;
  throw new SmallservdError('ADDRESS_INVALID', `invalid mask ${JSON.stringify(given)}: expected ${expected}`);
}

function formatHex({ w0, w1, w2, w3 }: IpAddress, bits: AddressBits): string {
  const words = bits === 32 ? [w3] : [w0, w1, w2, w3];
  return words.map((word) => word.toString(16).padStart(8, '0')).join('');
}
