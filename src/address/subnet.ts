import { prefixOf } from './cidr.ts';
import type { IpAddress } from './ip-address.ts';

/** The length of an address in bits. */
export type AddressBits = 32 | 128;

/** A network, and an address's position in it. */
export interface Subnet {
  readonly mask: IpAddress;
  readonly network: IpAddress;
  /** The address with the network bits cleared. */
  readonly hostPart: IpAddress;
  /** IPv4 only, and undefined for networks of one or two addresses (RFC 3021). */
  readonly broadcast: IpAddress | undefined;
  readonly firstHost: IpAddress;
  readonly lastHost: IpAddress;
  readonly hosts: bigint;
}

/** The prefix length of an IPv4 address's class (RFC 791 section 3.2): 8, 16 or 24. Classes D and E have none. */
export function classfulPrefix({
  w3,
}: IpAddress): { readonly class: 'A' | 'B' | 'C'; readonly prefix: number } | undefined {
  if (w3 >>> 31 === 0) return { class: 'A', prefix: 8 };
  if (w3 >>> 30 === 0b10) return { class: 'B', prefix: 16 };
  return w3 >>> 29 === 0b110 ? { class: 'C', prefix: 24 } : undefined;
}

/** The prefix length of a mask, or undefined if a 1 follows a 0. */
export function prefixOfMask(mask: IpAddress, bits: AddressBits): number | undefined {
  const ones = numberOf(mask, bits).toString(2).padStart(bits, '0').indexOf('0');
  const prefix = ones < 0 ? bits : ones;
  return numberOf(mask, bits) === maskNumber(prefix, bits) ? prefix : undefined;
}

/**
 * The network given by the first `prefix` bits of an address, from 0 to `bits`. IPv4 reserves the first address for the
 * network and the last for broadcast, except in a /31 (RFC 3021) or /32. IPv6 reserves the first for the subnet-router
 * anycast address (RFC 4291 section 2.6.1), except in a /127 (RFC 6164) or /128.
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
