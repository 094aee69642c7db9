/** A query for the name servers of the root (RFC 1035 section 4.1): every server answers, if only with a refusal. */
const dnsQuery = Buffer.from('736d010000010000000000000000020001', 'hex');
/** A client's request of version 4 (RFC 5905 section 7.3). The rest may be zero. */
const ntpRequest = Buffer.concat([Buffer.from([0x23]), Buffer.alloc(47)]);
/** A test packet without authentication (RFC 8762 section 4.2.1). */
const stampRequest = Buffer.alloc(44);

/** What makes the service of a well-known UDP port answer. */
const requests: ReadonlyMap<number, Uint8Array> = new Map([
  [53, dnsQuery],
  [123, ntpRequest],
  [862, stampRequest],
]);

const empty = Buffer.alloc(0);
const lineFeed = Buffer.from('\n');

/**
 * What to send to a UDP port at attempt N, from 0, if nothing is given: the request of its service, or an empty
 * datagram. Some networks drop empty ones, so later attempts send a byte.
 */
export function datagramRequest(port: number, attempt: number): Uint8Array {
  return requests.get(port) ?? (attempt === 0 ? empty : lineFeed);
}
