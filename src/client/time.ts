import { formatHostPort } from '../address/host-port.ts';
import type { Endpoint } from './dial/connection.ts';
import { SmallservdError } from '../errors.ts';
import { fetchFrom } from './fetch.ts';
import type { EitherProtocolOptions } from './options.ts';

export interface Time {
  /** The server's time, in the era nearest the own clock. */
  readonly time: Date;
  /**
   * The server's clock less the own one at half the round trip, both in whole seconds, as RFC 868 has no smaller unit:
   * the true offset is less than a second away.
   */
  readonly offsetSeconds: number;
  /** Milliseconds from the request, over TCP from the connection, to the first bytes. */
  readonly rttMs: number;
  /**
   * The bytes of the answer, of which the first four count: 4, or 8 of GNU inetd on 64-bit machines. Whoever sends
   * another number does not speak the protocol, and `time` may mean nothing.
   */
  readonly length: number;
  readonly peer: Endpoint;
}

/** From 1900, where RFC 868 starts counting, to 1970. */
const secondsTo1970 = 2_208_988_800;
const eraSeconds = 2 ** 32;

/**
 * Asks for the time (RFC 868). `host` is `HOST` or `HOST:PORT`. Throws `ANSWER_WRONG` for fewer than four bytes, and
 * what every client throws; a server that does not know the time is silent over UDP: `NO_ANSWER`.
 */
export async function time(host: string, options: EitherProtocolOptions = {}): Promise<Time> {
  const { bytes, peer, answeredAt, rttMs } = await fetchFrom(host, 'time', options);
  const name = formatHostPort(peer.address, peer.port);
  if (bytes.length === 0) {
    const reason = 'so does a server whose clock is not set (RFC 868)';
    throw new SmallservdError('ANSWER_WRONG', `${name} answered without a time: ${reason}`);
  }
  if (bytes.length < 4)
    throw new SmallservdError('ANSWER_WRONG', `${name} sent a truncated time: ${bytes.length} of 4 bytes`);
  const ownSeconds = Math.floor((answeredAt.getTime() - rttMs / 2) / 1000);
  const seconds = secondsOfWord(Buffer.from(bytes).readUInt32BE(), ownSeconds);
  return {
    time: new Date(seconds * 1000),
    offsetSeconds: seconds - ownSeconds,
    rttMs,
    length: bytes.length,
    peer,
  };
}

/**
 * The seconds since 1970 nearest to `nearSeconds` that a word of RFC 868 can mean: it wraps every 2^32 seconds, next in
 * 2036.
 */
export function secondsOfWord(word: number, nearSeconds: number): number {
  const firstEra = word - secondsTo1970;
  return firstEra + eraSeconds * Math.round((nearSeconds - firstEra) / eraSeconds);
}
