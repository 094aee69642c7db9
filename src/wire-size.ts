/** IP and UDP headers. */
const headersIpv4 = 28;
const headersIpv6 = 48;
/** Ethernet header and checksum, minimum frame, preamble and gap. */
const frameBytes = 18;
const smallestFrame = 64;
const preambleAndGap = 20;

/** The bytes on an Ethernet for a datagram with `length` bytes of payload, counted as in RFC 2544. */
export function wireSize(length: number, isV4: boolean): number {
  return Math.max(smallestFrame, length + overhead(isV4)) + preambleAndGap;
}

/** The largest payload whose datagram takes at most `bytes` on an Ethernet. `bytes` must allow an empty datagram. */
export function largestPayloadWithin(bytes: number, isV4: boolean): number {
  return Math.floor(bytes) - preambleAndGap - overhead(isV4);
}

function overhead(isV4: boolean): number {
  return (isV4 ? headersIpv4 : headersIpv6) + frameBytes;
}
