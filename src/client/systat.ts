import type { EitherProtocolOptions } from './options.ts';
import { type Text, textFrom } from './text.ts';

/**
 * Asks for the active users (RFC 866): one a line, or what the server tells instead. `host` is `HOST` or `HOST:PORT`.
 * Nobody may be there: then the text is empty. Over UDP the list may be several datagrams; what is lost on the way is
 * missing without a sign. Throws what every client throws.
 */
export async function systat(host: string, options: EitherProtocolOptions = {}): Promise<Text> {
  return textFrom(host, 'systat', { ...options, isList: true }, 'allowed');
}
