import { formatHostPort } from '../address/host-port.ts';
import type { Endpoint, Received } from './dial/connection.ts';
import { SmallservdError } from '../errors.ts';
import { type FetchOptions, fetchFrom } from './fetch.ts';

/** What a service that sends text has to say. */
export interface Text {
  /** As the server put it, each byte a character (ISO 8859-1), without the last line end. */
  readonly text: string;
  /** `limit`: there is more than 64 KiB. `timeout`: neither more nor an end came in time. Both: the text may be cut. */
  readonly end: Received['end'];
  readonly peer: Endpoint;
}

/**
 * Asks a service for its text. Throws `ANSWER_WRONG` for an empty one unless that is allowed, and what every client
 * throws.
 */
export async function textFrom(
  host: string,
  service: string,
  options: FetchOptions,
  emptiness: 'allowed' | `without ${string}`,
): Promise<Text> {
  const { bytes, end, peer } = await fetchFrom(host, service, options);
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  if (text === '' && emptiness !== 'allowed')
    throw new SmallservdError('ANSWER_WRONG', `${formatHostPort(peer.address, peer.port)} answered ${emptiness}`);
  return { text, end, peer };
}
