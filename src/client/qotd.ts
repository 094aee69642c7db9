import type { EitherProtocolOptions } from './options.ts';
import { type Text, textFrom } from './text.ts';

/**
 * Queries the quotation of the day (RFC 865). `host` is `HOST` or `HOST:PORT`. Accepts any length and characters.
 * Throws `ANSWER_WRONG` for an empty answer, and what every client throws.
 */
export async function qotd(host: string, options: EitherProtocolOptions = {}): Promise<Text> {
  return textFrom(host, 'qotd', options, 'no quotation');
}
