import { formatHostPort } from '../address/host-port.ts';
import type { Endpoint } from './dial/connection.ts';
import { SmallservdError } from '../errors.ts';
import { fetchFrom } from './fetch.ts';
import type { EitherProtocolOptions } from './options.ts';

export interface Time {
  /** The server's time, in the era nearest to the local clock. */
  readonly time: Date;
  /**
   * The server's clock minus the local clock at half the round trip, in whole seconds, the resolution of RFC 868. The
   * true offset is less than a second away.
   */
  readonly offsetSeconds: number;
  /** Milliseconds from the request, or over TCP from the connection, to the first bytes. */
  readonly rttMs: number;
  /**
   * Bytes of the answer, of which only the first four count: 4, or 8 from GNU inetd on 64-bit machines. With any other
   * length, the server does not speak the protocol and `time` may be meaningless.
   */
  readonly length: number;
  readonly peer: Endpoint;
  /** Over UDP, the size of the last request before the answer. Above 0, an empty one had no answer within a second. */
  readonly requestBytes?: number | undefined;
}

/** Seconds from 1900, the epoch of RFC 868, to 1970. */
export const secondsTo1970 = 2_208_988_800;
/** The word of RFC 868 wraps after this many seconds. */
export const eraSeconds: number = 2 ** 32;

/**
 * Queries the time (RFC 868). `host` is `HOST` or `HOST:PORT`. Throws `ANSWER_WRONG` for fewer than four bytes, and
 * what every client throws. A UDP server that does not know the time stays silent, which is `NO_ANSWER`.
 */
export async function time(host: string, options: EitherProtocolOptions = {}): Promise<Time> {
  const { bytes, peer, answeredAt, rttMs, requestBytes } = await fetchFrom(host, 'time', options);
  const name = formatHostPort(peer.address, peer.port);
  if (bytes.length === 0)
    throw new SmallservdError('ANSWER_WRONG', `${name} sent no time: its clock may not be set (RFC 868)`);
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
    requestBytes,
  };
}

/** The seconds since 1970 nearest to `nearSeconds` for a word of RFC 868, which wraps every 2^32 s, next in 2036. */
export function secondsOfWord(word: number, nearSeconds: number): number {
  const firstEra = word - secondsTo1970;
  return firstEra + eraSeconds * Math.round((nearSeconds - firstEra) / eraSeconds);
}
