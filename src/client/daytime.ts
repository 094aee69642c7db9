import type { Endpoint } from './dial/connection.ts';
import { formatHostPort } from '../address/host-port.ts';
import { SmallservdError } from '../errors.ts';
import { fetchFrom } from './fetch.ts';
import type { EitherProtocolOptions } from './options.ts';

export interface Daytime {
  /** The server's text, without the line end. */
  readonly text: string;
  readonly peer: Endpoint;
}

/**
 * Queries the daytime (RFC 867). `host` is `HOST` or `HOST:PORT`. Accepts any text, with or without a line end, even if
 * a reset follows. Throws `ANSWER_WRONG` for an empty answer, and what every client throws.
 */
export async function daytime(host: string, options: EitherProtocolOptions = {}): Promise<Daytime> {
  const { bytes, peer } = await fetchFrom(host, 'daytime', options);
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replace(/[\r\n]+$/, '');
  if (text === '')
    throw new SmallservdError('ANSWER_WRONG', `${formatHostPort(peer.address, peer.port)} answered without a time`);
  return { text, peer };
}
