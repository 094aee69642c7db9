import type { DatagramOrigin } from '../service.ts';

/** Flags, type, and the length of the value in two bytes (RFC 8972 section 4). */
const headerBytes = 4;
const unrecognized = 0x80;
const malformed = 0x40;

const extraPadding = 1;
const classOfService = 4;
/** DSCP1 and DSCP2 with 6 bits each, ECN and RP with 2 each, and 16 reserved bits. */
const classOfServiceBytes = 4;
/** The policy of the reflector did not permit the DSCP that the sender wanted. */
const rejected = 1;

/**
 * The most TLVs of a packet that are looked at. One of 64 KiB has room for 16,000 empty ones, which would take 2 ms,
 * and RFC 8972 and its extensions define about a dozen. The others come back as they are, with the flag U that their
 * sender has set: not recognized.
 */
const maxExtensions = 64;

/**
 * Turns the TLVs of a request into those of its reply, in place (RFC 8972 section 4). `extensions` is what follows the
 * base packet. It keeps its length, and its bytes but for the flags and the answer to Class of Service: the reflector
 * says in the flags which TLVs it does not recognize (U), and which do not fit (M). What follows a TLV that does not
 * fit is not read. Four zeros are the padding of a sender that knows no TLVs, whose own set U.
 */
export function reflectExtensions(extensions: Buffer, from: Pick<DatagramOrigin, 'dscp' | 'ecn'>): void {
  let at = 0;
  let count = 0;
  while (at + headerBytes <= extensions.length && extensions.readUInt32BE(at) !== 0) {
    if (count === maxExtensions) return;
    count += 1;
    const type = extensions.readUInt8(at + 1);
    const end = at + headerBytes + extensions.readUInt16BE(at + 2);
    extensions.writeUInt8(isRecognized(type, from) ? 0 : unrecognized, at);
    if (end > extensions.length || (type === classOfService && end - at !== headerBytes + classOfServiceBytes)) {
      extensions[at]! |= malformed;
    } else if (type === classOfService) {
      answerClassOfService(extensions, at + headerBytes, from);
    }
    at = end;
  }
  const isCutOff = at < extensions.length && extensions.length - at < headerBytes;
  if (isCutOff && !extensions.subarray(at).every((byte) => byte === 0)) extensions.writeUInt8(malformed, at);
}

function isRecognized(type: number, { dscp, ecn }: Pick<DatagramOrigin, 'dscp' | 'ecn'>): boolean {
  return type === extraPadding || (type === classOfService && dscp !== undefined && ecn !== undefined);
}

/**
 * RFC 8972 section 4.4: reports how the request arrived. The reply leaves with the DSCP of the request, whichever the
 * sender wants: no stranger chooses how our network treats what we send.
 */
function answerClassOfService(
  extensions: Buffer,
  at: number,
  { dscp, ecn }: Pick<DatagramOrigin, 'dscp' | 'ecn'>,
): void {
  if (dscp === undefined || ecn === undefined) return;
  const wanted = extensions.readUInt8(at) >>> 2;
  const policy = wanted === dscp ? 0 : rejected;
  extensions.writeUInt16BE((wanted << 10) | (dscp << 4) | (ecn << 2) | policy, at);
}
