import type { IpAddress } from '../address/ip-address.ts';
import type { Outcome } from '../outcomes.ts';
import { icmpOutcome } from './dial/icmp-error.ts';

/** Selects ICMP: RFC 792 over IPv4, RFC 4443 over IPv6. */
export type IpVersion = 'ipv4' | 'ipv6';

/** Identifier and sequence number are 16 bits. */
export interface EchoRequest {
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface EchoReply extends EchoRequest {
  readonly kind: 'reply';
  /** The remaining time to live. Undefined over IPv6, where a raw socket gets no IP header. */
  readonly ttl: number | undefined;
  /** Whether the checksum is correct. Over IPv6, the kernel has already dropped all others. */
  readonly isIntact: boolean;
}

/** An error from a router or host about an echo request that did not get through. */
export interface EchoError {
  readonly kind: 'error';
  /** In the words of ping(8). */
  readonly reason: string;
  readonly outcome: Outcome;
  /** Destination and numbers of the request. */
  readonly destination: IpAddress;
  readonly identifier: number;
  readonly sequence: number;
}

/** Header length of an echo request or reply. Data follows. */
export const icmpHeaderBytes = 8;
const ipv6HeaderBytes = 40;
const requestType = { ipv4: 8, ipv6: 128 } as const;
const replyType = { ipv4: 0, ipv6: 129 } as const;
const icmpProtocol = { 4: 1, 6: 58 } as const;
/** The next header of an IPv6 fragment, and the length of that header (RFC 8200 section 4.5). */
const fragment = { protocol: 44, bytes: 8 } as const;

/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of all 16-bit words, an odd last
 * byte padded with zero. It is 0 for bytes that include their correct checksum.
 */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    // Folding at each step keeps the sum exact for any length.
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}

/** Encodes an echo request for a raw socket. Over IPv6 the kernel fills in the checksum (RFC 3542 section 3.1). */
export function encodeEchoRequest(version: IpVersion, { identifier, sequence, data }: EchoRequest): Uint8Array {
  const bytes = Buffer.alloc(icmpHeaderBytes + data.length);
  bytes[0] = requestType[version];
  bytes.writeUInt16BE(identifier, 4);
  bytes.writeUInt16BE(sequence, 6);
  bytes.set(data, icmpHeaderBytes);
  if (version === 'ipv4') bytes.writeUInt16BE(checksum(bytes), 2);
  return bytes;
}

/**
 * Decodes what a raw socket received: over IPv4 a packet with its IP header, over IPv6 only the ICMP message. Returns
 * undefined if it is neither an echo reply nor an error about an echo request, is truncated, or is an error with a
 * wrong checksum. `data` is a view of the packet.
 */
export function decodeIcmp(version: IpVersion, packet: Uint8Array): EchoReply | EchoError | undefined {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  const start = version === 'ipv4' ? ipv4HeaderBytes(bytes) : 0;
  if (start === undefined || bytes.length < start + icmpHeaderBytes) return undefined;
  const message = bytes.subarray(start);
  // The IPv6 checksum covers the addresses, which only the kernel knows.
  const isIntact = version === 'ipv6' || checksum(message) === 0;
  if (message[0] === replyType[version] && message[1] === 0) {
    const ttl = version === 'ipv4' ? bytes[8] : undefined;
    return { kind: 'reply', ...numbersOf(message), data: message.subarray(icmpHeaderBytes), ttl, isIntact };
  }
  const reason = version === 'ipv4' ? reasonOf4(message) : reasonOf6(message);
  const quoted = message.subarray(icmpHeaderBytes);
  const request = version === 'ipv4' ? quotedRequest4(quoted) : quotedRequest6(quoted);
  if (reason === undefined || request === undefined || !isIntact) return undefined;
  const [type = 0, code = 0] = message;
  const outcome = icmpOutcome({ version: version === 'ipv4' ? 'icmp' : 'icmp6', type, code });
  return { kind: 'error', reason, outcome, ...request };
}

/** The length of an IPv4 header with options (RFC 791 section 3.1), or undefined if there is none. */
function ipv4HeaderBytes(packet: Buffer): number | undefined {
  const first = packet[0] ?? 0;
  const length = (first & 0x0f) * 4;
  return first >>> 4 === 4 && length >= 20 ? length : undefined;
}

function numbersOf(message: Buffer): { readonly identifier: number; readonly sequence: number } {
  return { identifier: message.readUInt16BE(4), sequence: message.readUInt16BE(6) };
}

type QuotedRequest = Pick<EchoError, 'destination' | 'identifier' | 'sequence'>;

/** The quote is the request's IP header and at least 8 more bytes, which in a later fragment are data. */
function quotedRequest4(quoted: Buffer): QuotedRequest | undefined {
  const start = ipv4HeaderBytes(quoted);
  if (start === undefined || quoted.length < start + icmpHeaderBytes) return undefined;
  const isFirstFragment = (quoted.readUInt16BE(6) & 0x1fff) === 0;
  if (!isFirstFragment || quoted[9] !== icmpProtocol[4] || quoted[start] !== requestType.ipv4) return undefined;
  const destination = { w0: 0, w1: 0, w2: 0xffff, w3: quoted.readUInt32BE(16) };
  return { destination, ...numbersOf(quoted.subarray(start)) };
}

function quotedRequest6(quoted: Buffer): QuotedRequest | undefined {
  const isFragment = quoted[6] === fragment.protocol;
  const start = ipv6HeaderBytes + (isFragment ? fragment.bytes : 0);
  if (quoted.length < start + icmpHeaderBytes || (quoted[0] ?? 0) >>> 4 !== 6) return undefined;
  if (isFragment && quoted.readUInt16BE(ipv6HeaderBytes + 2) >>> 3 !== 0) return undefined;
  const protocol = quoted[isFragment ? ipv6HeaderBytes : 6];
  if (protocol !== icmpProtocol[6] || quoted[start] !== requestType.ipv6) return undefined;
  const word = (index: number): number => quoted.readUInt32BE(24 + 4 * index);
  return {
    destination: { w0: word(0), w1: word(1), w2: word(2), w3: word(3) },
    ...numbersOf(quoted.subarray(start)),
  };
}

/** By code: RFC 792, RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1. */
const unreachable4 = [
  'Destination Net Unreachable',
  'Destination Host Unreachable',
  'Destination Protocol Unreachable',
  'Destination Port Unreachable',
  'Frag needed and DF set',
  'Source Route Failed',
  'Destination Net Unknown',
  'Destination Host Unknown',
  'Source Host Isolated',
  'Destination Net Prohibited',
  'Destination Host Prohibited',
  'Destination Net Unreachable for Type of Service',
  'Destination Host Unreachable for Type of Service',
  'Packet filtered',
  'Precedence Violation',
  'Precedence Cutoff',
] as const;

function reasonOf4(message: Buffer): string | undefined {
  const [type, code = 0] = message;
  if (type === 3) {
    const reason = unreachable4[code] ?? `Destination Unreachable, code ${code}`;
    // RFC 1191 section 4.
    return code === 4 ? `${reason} (mtu = ${message.readUInt16BE(6)})` : reason;
  }
  if (type === 11) return code === 0 ? 'Time to live exceeded' : 'Frag reassembly time exceeded';
  return type === 12 ? `Parameter problem: pointer = ${message[4]}` : undefined;
}

/** By code: RFC 4443 section 3.1. */
const unreachable6 = [
  'No route',
  'Administratively prohibited',
  'Beyond scope of source address',
  'Address unreachable',
  'Port unreachable',
  'Source address failed policy',
  'Reject route',
] as const;
/** By code: RFC 4443 section 3.4. */
const parameterProblem6 = ['Wrong header field', 'Unknown header', 'Unknown option'] as const;

function reasonOf6(message: Buffer): string | undefined {
  const [type, code = 0] = message;
  if (type === 1) return `Destination unreachable: ${unreachable6[code] ?? `code ${code}`}`;
  if (type === 2) return `Packet too big: mtu=${message.readUInt32BE(4)}`;
  if (type === 3) return `Time exceeded: ${code === 0 ? 'Hop limit' : 'Defragmentation failure'}`;
  if (type !== 4) return undefined;
  return `Parameter problem: ${parameterProblem6[code] ?? `code ${code}`} at ${message.readUInt32BE(4)}`;
}
