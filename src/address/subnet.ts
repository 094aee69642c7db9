import { prefixOf } from './cidr.ts';
import type { IpAddress } from './ip-address.ts';

/** The length of an address in bits. */
export type AddressBits = 32 | 128;

/** A network, and where an address stands in it. */
export interface Subnet {
  readonly mask: IpAddress;
  readonly network: IpAddress;
  /** The address without its network. */
  readonly hostPart: IpAddress;
  /** IPv4 only, and not where the network has one or two addresses (RFC 3021). */
  readonly broadcast: IpAddress | undefined;
  readonly firstHost: IpAddress;
  readonly lastHost: IpAddress;
  readonly hosts: bigint;
}

/**
 * The prefix length that the class of an IPv4 address implies (RFC 791 section 3.2): 8, 16 or 24; D and E imply none.
 */
export function classfulPrefix({
  w3,
}: IpAddress): { readonly class: 'A' | 'B' | 'C'; readonly prefix: number } | undefined {
  if (w3 >>> 31 === 0) return { class: 'A', prefix: 8 };
  if (w3 >>> 30 === 0b10) return { class: 'B', prefix: 16 };
  return w3 >>> 29 === 0b110 ? { class: 'C', prefix: 24 } : undefined;
}

/** The prefix length of a mask; undefined where a one follows a zero. */
export function prefixOfMask(mask: IpAddress, bits: AddressBits): number | undefined {
  const ones = numberOf(mask, bits).toString(2).padStart(bits, '0').indexOf('0');
  const prefix = ones < 0 ? bits : ones;
  return numberOf(mask, bits) === maskNumber(prefix, bits) ? prefix : undefined;
}

/**
 * The network that the first `prefix` bits of an address, 0 to `bits`, make. An IPv4 network keeps its first address
 * for itself and its last for broadcast, but not a /31 (RFC 3021) or /32. An IPv6 network keeps its first for any
 * router (RFC 4291 section 2.6.1), but not a /127 (RFC 6164) or /128.
 */
export function subnetOf(address: IpAddress, prefix: number, bits: AddressBits): Subnet {
  const size = 1n << BigInt(bits - prefix);
  const network = prefixOf(address, prefix + 128 - bits);
  const first = numberOf(network, bits);
  const last = first + size - 1n;
  const isSmall = size <= 2n;
  const hasBroadcast = bits === 32 && !isSmall;
  const firstHost = isSmall ? first : first + 1n;
  const lastHost = hasBroadcast ? last - 1n : last;
  return {
    mask: addressOf(maskNumber(prefix, bits), bits),
    network,
    hostPart: addressOf(numberOf(address, bits) - first, bits),
    broadcast: hasBroadcast ? addressOf(last, bits) : undefined,
    firstHost: addressOf(firstHost, bits),
    lastHost: addressOf(lastHost, bits),
    hosts: lastHost - firstHost + 1n,
  };
}

function maskNumber(prefix: number, bits: AddressBits): bigint {
  return (1n << BigInt(bits)) - (1n << BigInt(bits - prefix));
}

function numberOf({ w0, w1, w2, w3 }: IpAddress, bits: AddressBits): bigint {
  if (bits === 32) return BigInt(w3);
  return [w0, w1, w2, w3].reduce((number, word) => (number << 32n) | BigInt(word), 0n);
}

function addressOf(number: bigint, bits: AddressBits): IpAddress {
  const word = (at: bigint): number => Number((number >> at) & 0xffffffffn);
  if (bits === 32) return { w0: 0, w1: 0, w2: 0xffff, w3: word(0n) };
  return { w0: word(96n), w1: word(64n), w2: word(32n), w3: word(0n) };
}
