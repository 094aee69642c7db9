import { safetyChecks } from './answering.ts';
import { describeBytes } from './bytes.ts';
import { type Check, type CheckContext, checksOf, type Fact, Fault } from './check.ts';
import { askFor, Inbox } from './datagrams.ts';
import { stampBaseBytes as baseBytes } from '../stamp/packet.ts';
import { sessionIdentifier, testPacket } from './test-packet.ts';

// Offsets in a reflected packet (RFC 8762 section 4.3.1).
const timestampAt = 4;
const errorAt = 12;
const sessionAt = 14;
const receivedAt = 16;
const senderAt = 24;
const zerosAt = 38;
const ttlAt = 40;

/** What a sender of TWAMP Light fills in; padding may follow. */
const senderBytes = 14;
/** Far longer than a reflector keeps a packet. */
const longestStaySeconds = 60;

const sequence = 0x736d_0862;

/** Private use (RFC 8972 section 5.1): no reflector knows what it means here. */
const unknownType = 253;
const extraPadding = 1;
const unrecognized = 0x80;
const malformed = 0x40;

function tlv(type: number, value: Uint8Array, length = value.length): Buffer {
  // A sender sets U.
  const header = Buffer.from([unrecognized, type, length >>> 8, length & 0xff]);
  return Buffer.concat([header, value]);
}

/** RFC 8762, and the TLVs of RFC 8972. */
export const stampChecks: readonly Check[] = [
  ...checksOf('stamp', 'udp', [
    {
      name: 'base',
      fact: `a base packet of ${baseBytes} bytes is answered with as many`,
      run: async (context) => void (await reflect(context, testPacket(sequence))),
    },
    {
      name: 'padding',
      fact: 'the answer to a longer packet is as long as the packet',
      async run(context) {
        for (const length of [1, 100, 1428]) await reflect(context, testPacket(sequence, Buffer.alloc(length)));
      },
    },
    {
      name: 'short',
      fact: `a shorter packet, as TWAMP Light sends, is answered with ${baseBytes} bytes`,
      run: async (context) => void (await reflect(context, testPacket(sequence).subarray(0, senderBytes), baseBytes)),
    },
    {
      name: 'sender',
      fact: "the sender's sequence number, timestamp and error estimate come back in the answer",
      async run(context) {
        const request = testPacket(sequence);
        const reply = await reflect(context, request);
        const [sent, seen] = [request.subarray(0, senderBytes), reply.subarray(senderAt, senderAt + senderBytes)];
        if (!seen.equals(sent)) throw new Fault(describeBytes(sent), seen);
      },
    },
    {
      name: 'session',
      basis: 'RFC 8972',
      fact: 'the session identifier comes back',
      async run(context) {
        const seen = (await reflect(context, testPacket(sequence))).readUInt16BE(sessionAt);
        if (seen !== sessionIdentifier) throw new Fault(String(sessionIdentifier), String(seen));
      },
    },
    {
      name: 'times',
      fact: 'the packet leaves after it has arrived, and within a minute',
      async run(context) {
        const reply = await reflect(context, testPacket(sequence));
        const seconds = stayOf(reply);
        const expected = 'a time of departure shortly after the time of arrival';
        if (seconds < 0 || seconds > longestStaySeconds || reply.readBigUInt64BE(receivedAt) === 0n)
          throw new Fault(expected, reply.subarray(timestampAt, senderAt));
        return `${(seconds * 1e6).toFixed(0)} µs between arrival and departure`;
      },
    },
    {
      name: 'error',
      fact: 'the multiplier of the error estimate is not 0',
      async run(context) {
        const reply = await reflect(context, testPacket(sequence));
        if (reply.readUInt8(errorAt + 1) === 0) throw new Fault('a multiplier', reply.subarray(errorAt, sessionAt));
        return `the clock of the server is ${(reply.readUInt8(errorAt) & 0x80) === 0 ? 'not ' : ''}synchronized`;
      },
    },
    {
      name: 'ttl',
      fact: 'the TTL of the request comes back, and zeros around it',
      async run(context) {
        const seen = (await reflect(context, testPacket(sequence))).subarray(zerosAt, baseBytes);
        const [ttl = 0] = seen.subarray(ttlAt - zerosAt);
        if (ttl === 0 || seen.some((byte, at) => byte !== 0 && at !== ttlAt - zerosAt))
          throw new Fault('two zeros, a TTL and three zeros', seen);
        return `TTL ${ttl}`;
      },
    },
    {
      name: 'tlv-unknown',
      basis: 'RFC 8972',
      fact: 'a TLV of unknown type comes back with flag U',
      run: flagged(tlv(unknownType, Buffer.from('unknown')), unrecognized, unrecognized | malformed),
    },
    {
      name: 'tlv-known',
      basis: 'RFC 8972',
      fact: 'a TLV with padding comes back without flag U',
      run: flagged(tlv(extraPadding, Buffer.from('padding')), 0, unrecognized | malformed),
    },
    {
      name: 'tlv-malformed',
      basis: 'RFC 8972',
      fact: 'a TLV longer than the packet comes back with flag M',
      run: flagged(tlv(extraPadding, Buffer.from('padding'), 1000), malformed, malformed),
    },
    {
      name: 'loop',
      basis: 'safety',
      fact: 'the answer of a reflector is not answered',
      run: async (context) =>
        Inbox.with(context, async (inbox) => {
          const reply = await reflect(context, testPacket(sequence));
          await inbox.send(reply);
          // An answer to a later request shows that the server had time to answer.
          await reflect(context, testPacket(sequence));
          const [seen] = await inbox.quiet();
          if (seen !== undefined) throw new Fault('silence', seen);
        }),
    },
  ]),
  ...safetyChecks('stamp', 2, {
    numbered: testPacket,
    shortest: [testPacket(sequence).subarray(0, senderBytes), testPacket(sequence)],
    long: testPacket(sequence),
  }),
];

/** Sends a packet and returns the answer. Throws `Fault` if it has not this length. */
async function reflect(context: CheckContext, request: Uint8Array, length = request.length): Promise<Buffer> {
  const reply = await askFor(context, request);
  if (reply.length !== length) throw new Fault(`${length} bytes`, reply);
  return Buffer.from(reply);
}

/** Seconds between arrival and departure. Both times are in the same format. */
function stayOf(reply: Buffer): number {
  const seconds = (reply.readUInt32BE(timestampAt) - reply.readUInt32BE(receivedAt)) | 0;
  const fraction = reply.readUInt32BE(timestampAt + 4) - reply.readUInt32BE(receivedAt + 4);
  return seconds + fraction / 2 ** 32;
}

/** Runs with an extension, and looks at those of its flags in the answer that are in the mask. */
function flagged(extension: Buffer, expected: number, mask: number): Fact['run'] {
  return async (context) => {
    const reply = (await reflect(context, testPacket(sequence, extension))).subarray(baseBytes);
    const flags = reply.readUInt8();
    if ((flags & mask) !== expected) throw new Fault(`flags ${hex(expected)}`, hex(flags), reply);
    if (!reply.subarray(1).equals(extension.subarray(1))) throw new Fault('the same type, length and value', reply);
  };
}

function hex(flags: number): string {
  return flags.toString(16).padStart(2, '0');
}
