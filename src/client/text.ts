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
  /** Over UDP, the size of the last request before the answer. Above 0, an empty one had no answer within a second. */
  readonly requestBytes?: number | undefined;
}

/** Queries a text service. Throws `ANSWER_WRONG` for an empty answer unless allowed, and what every client throws. */
export async function textFrom(
  host: string,
  service: string,
  options: FetchOptions,
  emptiness: 'allowed' | `no ${string}`,
): Promise<Text> {
  const { bytes, end, peer, requestBytes } = await fetchFrom(host, service, options);
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  if (text === '' && emptiness !== 'allowed')
    throw new SmallservdError('ANSWER_WRONG', `${formatHostPort(peer.address, peer.port)} sent ${emptiness}`);
  return { text, end, peer, requestBytes };
}
