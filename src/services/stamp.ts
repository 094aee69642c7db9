import { errorEstimate, writeNtpTime } from '../clock/ntp-format.ts';
import type { DatagramOrigin, ServiceModule } from '../service.ts';
import { reflectExtensions } from './stamp-extensions.ts';
import { StampSessions } from './stamp-sessions.ts';

export type StampOptions = {
  readonly mode: 'stateless' | 'stateful';
};

/** The base packet of RFC 8762 sections 4.2.1 and 4.3.1, without authentication. Extensions follow it. */
const baseBytes = 44;
/** What a sender of TWAMP Light fills in; padding follows it. */
const senderBytes = 14;

// Offsets in both packets.
const sequenceAt = 0;
const timestampAt = 4;
const errorAt = 12;
const sessionAt = 14;
// Offsets in the reflected packet only.
const receivedAt = 16;
const senderSequenceAt = 24;
const senderTimestampAt = 28;
const senderErrorAt = 36;
const senderTtlAt = 40;

/** To what the times are exact, at best. */
const resolutionUs = 1;

/** What a reflector that cannot tell the TTL reports (RFC 5357 section 4.2.1). */
const unknownTtl = 255;

/** A reply must reach past its time of arrival, so that another reflector recognizes it. */
const recognizableBytes = senderSequenceAt;
/** Far longer than a reflector keeps a packet, even if the two times come from different clocks. */
const longestStaySeconds = 60;

/**
 * RFC 8762: reflects test packets for measuring delay and loss, without authentication. A reply is as long as its
 * request, and at least a base packet as far as the limit allows (section 4.6).
 *
 * It stays silent to what is not a test packet, so that two services never answer each other: to what another reflector
 * has sent, and to text.
 */
export const stamp: ServiceModule<StampOptions> = {
  name: 'stamp',
  summary: 'reflects test packets that measure delay and loss',
  rfc: 8762,
  port: 862,
  transport: 'udp',
  options: {
    mode: {
      doc: 'How replies are numbered: stateless repeats the number of the request, stateful counts the replies of a session.',
      format: ['stateless', 'stateful'],
      default: 'stateless',
    },
  },
  create({ mode }, context) {
    const sessions = mode === 'stateful' ? new StampSessions() : undefined;

    return {
      readsHeaders: true,
      repliesAtOnce: true,
      // The control connections of TWAMP (RFC 5357) are none of its business.
      datagram(bytes, limit, from) {
        const request = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
        const length = Math.max(request.length, Math.min(baseBytes, limit));
        if (request.length < senderBytes || length < recognizableBytes || length > limit) return undefined;
        if (isReflected(request) || isText(request)) return undefined;
        const reply = Buffer.alloc(Math.max(length, baseBytes));
        reply.set(request.subarray(baseBytes), baseBytes);
        reflectExtensions(reply.subarray(baseBytes), from);
        reply.writeUInt32BE(
          sessions?.next(sessionOf(request, from), from.peer.address, from.receivedAtUs) ?? sequenceOf(request),
        );
        request.copy(reply, sessionAt, sessionAt, receivedAt);
        writeNtpTime(reply, receivedAt, from.receivedAtUs);
        request.copy(reply, senderSequenceAt, sequenceAt, timestampAt);
        request.copy(reply, senderTimestampAt, timestampAt, errorAt);
        request.copy(reply, senderErrorAt, errorAt, sessionAt);
        reply.writeUInt8(from.ttl ?? unknownTtl, senderTtlAt);
        const isSynchronized = context.clockIsSet() && context.clockIsSynchronized();
        reply.writeUInt16BE(errorEstimate(Math.max(resolutionUs, context.clockErrorUs()), isSynchronized), errorAt);
        // The last thing, since it says when the reply leaves.
        writeNtpTime(reply, timestampAt, context.nowUs());
        return reply.subarray(0, length);
      },
    };
  },
};

function sequenceOf(request: Buffer): number {
  return request.readUInt32BE(sequenceAt);
}

/** A session is one sender and one session identifier (RFC 8972 section 3); without one, both bytes are zero. */
function sessionOf(request: Buffer, { peer, local }: DatagramOrigin): string {
  const identifier = request.length < receivedAt ? 0 : request.readUInt16BE(sessionAt);
  return `${peer.address} ${peer.port} ${local.address} ${local.port} ${identifier}`;
}

/**
 * Whether a reflector has sent this: it contains a time of arrival that fits its time of departure. A sender of STAMP
 * has zeros there, and one of TWAMP Light zeros or random padding, which looks like this once in 35 million packets.
 */
function isReflected(request: Buffer): boolean {
  if (request.length < recognizableBytes || request.readBigUInt64BE(receivedAt) === 0n) return false;
  const staySeconds = request.readInt32BE(timestampAt) - request.readInt32BE(receivedAt);
  // Modulo 2^32, since NTP's seconds wrap in 2036.
  return Math.abs(staySeconds | 0) <= longestStaySeconds;
}

/** Whether this is text, such as an answer of daytime or chargen. No sender's numbers and times look like it. */
function isText(request: Buffer): boolean {
  for (let at = 0; at < senderBytes; at += 1) {
    const byte = request[at] ?? 0;
    if ((byte < 0x20 || byte > 0x7e) && byte !== 0x0d && byte !== 0x0a) return false;
  }
  return true;
}
