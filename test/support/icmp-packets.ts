import { parseIp } from '../../src/address/ip-address.ts';

/** RFC 1071 section 4.1, word by word: add all, fold the carries, take the complement. */
export function referenceChecksum(bytes: Uint8Array): number {
  const padded = Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)]);
  let sum = 0n;
  for (let at = 0; at < padded.length; at += 2) sum += BigInt(padded.readUInt16BE(at));
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(~sum & 0xffffn);
}

export interface Packet4 {
  readonly source?: string;
  readonly destination?: string;
  readonly ttl?: number;
  readonly protocol?: number;
  /** What the header says of its length, in 32-bit words: 5 without options. */
  readonly headerWords?: number;
  /** In units of 8 bytes. */
  readonly fragmentOffset?: number;
}

/** An IPv4 packet (RFC 791 section 3.1), its header checksum left out. */
export function packet4(payload: Uint8Array, options: Packet4 = {}): Buffer {
  const { source = '192.0.2.1', destination = '192.0.2.7', ttl = 64, protocol = 1 } = options;
  const { headerWords = 5, fragmentOffset = 0 } = options;
  const header = Buffer.alloc(Math.max(20, headerWords * 4));
  header[0] = 0x40 | headerWords;
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(fragmentOffset, 6);
  header[8] = ttl;
  header[9] = protocol;
  header.writeUInt32BE(parseIp(source)?.w3 ?? 0, 12);
  header.writeUInt32BE(parseIp(destination)?.w3 ?? 0, 16);
  return Buffer.concat([header, payload]);
}

export interface Packet6 {
  readonly destination?: string;
  readonly nextHeader?: number;
  /** In units of 8 bytes; given, the packet is a fragment. */
  readonly fragmentOffset?: number;
}

/** An IPv6 packet (RFC 8200 section 3), as an ICMPv6 error quotes it. */
export function packet6(payload: Uint8Array, options: Packet6 = {}): Buffer {
  const { destination = '2001:db8::7', nextHeader = 58, fragmentOffset } = options;
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header[6] = fragmentOffset === undefined ? nextHeader : 44;
  const { w0 = 0, w1 = 0, w2 = 0, w3 = 0 } = parseIp(destination) ?? {};
  for (const [index, word] of [w0, w1, w2, w3].entries()) header.writeUInt32BE(word, 24 + 4 * index);
  if (fragmentOffset === undefined) return Buffer.concat([header, payload]);
  const fragment = Buffer.alloc(8);
  fragment[0] = nextHeader;
  fragment.writeUInt16BE(fragmentOffset << 3, 2);
  return Buffer.concat([header, fragment, payload]);
}

/** An ICMP message; `rest` is the second word of its header. The checksum is right unless another is given. */
export function icmpMessage(type: number, code: number, rest: number, body: Uint8Array, sum?: number): Buffer {
  const message = Buffer.alloc(8 + body.length);
  message[0] = type;
  message[1] = code;
  message.writeUInt32BE(rest, 4);
  message.set(body, 8);
  message.writeUInt16BE(sum ?? referenceChecksum(message), 2);
  return message;
}

/** What a host makes of an echo request: the same with the type of a reply. */
export function replyTo(version: 4 | 6, request: Uint8Array): Buffer {
  const { identifier, sequence } = numbersOf(request);
  return icmpMessage(version === 4 ? 0 : 129, 0, identifier * 65_536 + sequence, request.subarray(8));
}

export function numbersOf(request: Uint8Array): { identifier: number; sequence: number } {
  const bytes = Buffer.from(request);
  return { identifier: bytes.readUInt16BE(4), sequence: bytes.readUInt16BE(6) };
}
