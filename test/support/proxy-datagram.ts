import { parseIp } from '../../src/address/ip-address.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** How a header of version 2 differs from that of UDP. */
export interface HeaderParts {
  /** 0x21: PROXY, 0x20: LOCAL. */
  readonly command?: number;
  /** The family and the transport: by default UDP over the family of the client. */
  readonly family?: number;
  readonly tlvs?: Uint8Array;
}

/** The PROXY header of a client at this address and port, for a datagram that was sent to port 7. */
export function datagramHeader(client: string, port: number, parts: HeaderParts = {}): Buffer {
  const isIpv6 = client.includes(':');
  const { command = 0x21, family = isIpv6 ? 0x22 : 0x12, tlvs = Buffer.alloc(0) } = parts;
  const addresses = isIpv6 ? ipv6(client, '2001:db8::1') : ipv4(client, '198.51.100.1');
  const following = Buffer.concat([addresses, uint16(port), uint16(7), tlvs]);
  return Buffer.concat([signature, Buffer.from([command, family]), uint16(following.length), following]);
}

/** A datagram as a proxy sends it for a client. */
export function proxied(client: string, port: number, payload: Uint8Array | string, parts?: HeaderParts): Buffer {
  return Buffer.concat([datagramHeader(client, port, parts), Buffer.from(payload)]);
}

function ipv4(...quads: readonly string[]): Buffer {
  return Buffer.from(quads.flatMap((quad) => quad.split('.').map(Number)));
}

function ipv6(...texts: readonly string[]): Buffer {
  const words = texts.flatMap((text) => {
    const ip = parseIp(text);
    if (ip === undefined) throw new Error(`no IP address: ${text}`);
    return [ip.w0, ip.w1, ip.w2, ip.w3];
  });
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) bytes.writeUInt32BE(word, index * 4);
  return bytes;
}

function uint16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff]);
}
