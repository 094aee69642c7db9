import {
  type ErrorEstimate,
  errorEstimate,
  type NtpTime,
  readErrorEstimate,
  readNtpTime,
  readPtpTime,
  writeNtpTime,
} from '../../clock/ntp-format.ts';

/** The base packet of RFC 8762 section 4.2.1, without authentication. Extensions follow it. */
export const stampBaseBytes = 44;
/** The shortest reply: TWAMP Light's ends with the TTL of the request (RFC 5357 section 4.2.1). */
const shortestReplyBytes = 41;

// Offsets in both packets.
const timestampAt = 4;
const errorAt = 12;
const sessionAt = 14;
// Offsets in the reflected packet only (RFC 8762 section 4.3.1).
const receivedAt = 16;
const senderSequenceAt = 24;
const senderTimestampAt = 28;
const ttlAt = 40;

/** Flags, type and length of a TLV (RFC 8972 section 4). */
const headerBytes = 4;
/** A sender sets U, and a reflector that knows the type clears it. */
const unrecognized = 0x80;
const malformed = 0x40;
const extraPadding = 1;
const classOfService = 4;
const classOfServiceBytes = 4;

/** A base packet with Class of Service. */
export const stampBytes: number = stampBaseBytes + headerBytes + classOfServiceBytes;

export interface StampRequest {
  /** 0 to 2^32 − 1. */
  readonly sequence: number;
  /** 0 to 65535 (RFC 8972 section 3). */
  readonly session: number;
  /** Whether the clock is synchronized, and its error in microseconds. */
  readonly isSynchronized: boolean;
  readonly errorUs: number;
  /** The code point that the reply should have, 0 to 63. */
  readonly dscp: number;
  /** At least 44. Class of Service takes part from 52 on. */
  readonly sizeBytes: number;
}

export interface StampReply {
  /** The reflector's own number, or that of the request. */
  readonly sequence: number;
  readonly session: number;
  readonly senderSequence: number;
  readonly senderTime: NtpTime;
  readonly receivedAt: NtpTime;
  readonly sentAt: NtpTime;
  readonly clock: ErrorEstimate;
  /** The TTL of the request as it arrived. 255 if the reflector cannot tell. */
  readonly ttl: number;
  /** How the request arrived, if the reflector knows Class of Service. */
  readonly classOfService: { readonly dscp: number; readonly ecn: number } | undefined;
}

/** Encodes a test packet, but for its time: see `stampTime`. What is left of the size is a TLV of padding, or zeros. */
export function encodeStampRequest(request: StampRequest): Buffer {
  const { sequence, session, isSynchronized, errorUs, dscp, sizeBytes } = request;
  const packet = Buffer.alloc(sizeBytes);
  packet.writeUInt32BE(sequence);
  packet.writeUInt16BE(errorEstimate(errorUs, isSynchronized), errorAt);
  packet.writeUInt16BE(session, sessionAt);
  if (sizeBytes < stampBytes) return packet;
  writeHeader(packet, stampBaseBytes, classOfService, classOfServiceBytes);
  packet.writeUInt8(dscp << 2, stampBaseBytes + headerBytes);
  const paddingBytes = sizeBytes - stampBytes - headerBytes;
  if (paddingBytes >= 0) writeHeader(packet, stampBytes, extraPadding, paddingBytes);
  return packet;
}

/** Writes the time into a test packet, which is then sent at once. `us` is microseconds since 1970. */
export function stampTime(packet: Buffer, us: number): void {
  writeNtpTime(packet, timestampAt, us);
}

/** The time in a test packet. */
export function timeOf(packet: Buffer): NtpTime {
  return readNtpTime(packet, timestampAt);
}

function writeHeader(packet: Buffer, at: number, type: number, length: number): void {
  packet.writeUInt8(unrecognized, at);
  packet.writeUInt8(type, at + 1);
  packet.writeUInt16BE(length, at + 2);
}

/** Decodes a reflected packet. Undefined if it is too short for one. */
export function decodeStampReply(bytes: Uint8Array): StampReply | undefined {
  if (bytes.length < shortestReplyBytes) return undefined;
  const packet = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const clock = readErrorEstimate(packet.readUInt16BE(errorAt));
  const readTime = clock.format === 'ntp' ? readNtpTime : readPtpTime;
  return {
    sequence: packet.readUInt32BE(),
    session: packet.readUInt16BE(sessionAt),
    senderSequence: packet.readUInt32BE(senderSequenceAt),
    senderTime: readNtpTime(packet, senderTimestampAt),
    receivedAt: readTime(packet, receivedAt),
    sentAt: readTime(packet, timestampAt),
    clock,
    ttl: packet.readUInt8(ttlAt),
    classOfService: readClassOfService(packet.subarray(stampBaseBytes)),
  };
}

/** The first TLV, which we have put there. A reflector that does not know it returns it as it was. */
function readClassOfService(extensions: Buffer): StampReply['classOfService'] {
  if (extensions.length < headerBytes + classOfServiceBytes) return undefined;
  const flags = extensions.readUInt8();
  const isOurs = extensions.readUInt8(1) === classOfService && extensions.readUInt16BE(2) === classOfServiceBytes;
  if (!isOurs || (flags & (unrecognized | malformed)) !== 0) return undefined;
  const bits = extensions.readUInt16BE(headerBytes);
  return { dscp: (bits >>> 4) & 0x3f, ecn: (bits >>> 2) & 0x03 };
}
