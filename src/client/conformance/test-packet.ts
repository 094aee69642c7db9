import { stampBaseBytes } from '../stamp/packet.ts';

// Offsets in it.
const errorAt = 12;
const sessionAt = 14;

/** The session identifier in our packets (RFC 8972 section 3). */
export const sessionIdentifier = 0x5353;

/**
 * A test packet of STAMP with this sequence number, and with `extensions` after it. Its time is 0 and its clock not
 * synchronized, since it is not for measuring.
 */
export function testPacket(sequence: number, extensions: Uint8Array = Buffer.alloc(0)): Buffer {
  const packet = Buffer.alloc(stampBaseBytes + extensions.length);
  packet.writeUInt32BE(sequence);
  // An error of 1 second: the multiplier, which must not be 0, times 2^(32 − 32).
  packet.writeUInt16BE((32 << 8) | 1, errorAt);
  packet.writeUInt16BE(sessionIdentifier, sessionAt);
  packet.set(extensions, stampBaseBytes);
  return packet;
}
