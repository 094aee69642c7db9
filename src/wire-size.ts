/** IP and UDP headers. */
const headersIpv4 = 28;
const headersIpv6 = 48;
/** Ethernet's own header and checksum, its smallest frame, its preamble and gap. */
const frameBytes = 18;
const smallestFrame = 64;
const preambleAndGap = 20;

/** The bytes that a datagram with a payload of `length` bytes takes on an Ethernet, as RFC 2544 counts. */
export function wireSize(length: number, isV4: boolean): number {
  return Math.max(smallestFrame, length + overhead(isV4)) + preambleAndGap;
}

/** The largest payload whose datagram takes at most `bytes` on an Ethernet; `bytes`: at least that of an empty one. */
export function largestPayloadWithin(bytes: number, isV4: boolean): number {
  return Math.floor(bytes) - preambleAndGap - overhead(isV4);
}

function overhead(isV4: boolean): number {
  return (isV4 ? headersIpv4 : headersIpv6) + frameBytes;
}
