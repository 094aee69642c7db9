import { formatHostPort } from '../address/host-port.ts';
import type { Endpoint, Received } from './dial/connection.ts';
import { SmallservdError } from '../errors.ts';
import { type FetchOptions, fetchFrom } from './fetch.ts';

/** The answer of a text service. */
export interface Text {
  /** The server's text, each byte as a character (ISO 8859-1), without the last line end. */
  readonly text: string;
  /** `limit`: more than 64 KiB. `timeout`: no more data and no end in time. The text may be cut in both cases. */
  readonly end: Received['end'];
  readonly peer: Endpoint;
}

/** Queries a text service. Throws `ANSWER_WRONG` for an empty answer unless allowed, and what every client throws. */
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
