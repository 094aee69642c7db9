import type { Endpoint } from './dial/connection.ts';
import { formatHostPort } from '../address/host-port.ts';
import { SmallservdError } from '../errors.ts';
import { fetchFrom } from './fetch.ts';
import type { EitherProtocolOptions } from './options.ts';

export interface Daytime {
  /** The server's text, without the line end. */
  readonly text: string;
  readonly peer: Endpoint;
  /** Over UDP, the size of the last request before the answer. Above 0, an empty one had no answer within a second. */
  readonly requestBytes?: number | undefined;
}

/** Longer than any date. */
const limitBytes = 1000;

/**
 * Queries the daytime (RFC 867). `host` is `HOST` or `HOST:PORT`. Accepts any text of one line, with or without line
 * ends around it, even if a reset follows. Throws `ANSWER_WRONG` for anything else, and what every client throws.
 */
export async function daytime(host: string, options: EitherProtocolOptions = {}): Promise<Daytime> {
  const { bytes, end, peer, requestBytes } = await fetchFrom(host, 'daytime', { ...options, limitBytes });
  // Over UDP, one byte more than the limit is enough to see that it is exceeded.
  const text = Buffer.from(bytes.subarray(0, limitBytes + 1))
    .toString('latin1')
    .replace(/^[\r\n]+|[\r\n]+$/g, '');
  const name = formatHostPort(peer.address, peer.port);
  if (text === '') throw new SmallservdError('ANSWER_WRONG', `${name} sent no time`);
  if (end === 'limit' || bytes.length > limitBytes || /[\r\n]/.test(text))
    throw new SmallservdError(
      'ANSWER_WRONG',
      `${name} sent more than one line of text: this may not be a daytime server`,
    );
  return { text, peer, requestBytes };
}
