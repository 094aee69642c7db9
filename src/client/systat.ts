import type { EitherProtocolOptions } from './options.ts';
import { type Text, textFrom } from './text.ts';

/**
 * Queries the active users (RFC 866), one per line, or whatever else the server reports. `host` is `HOST` or
 * `HOST:PORT`. The text is empty if no users are logged in. Over UDP the list may span several datagrams, and lost ones
 * go unnoticed. Throws what every client throws.
 */
export async function systat(host: string, options: EitherProtocolOptions = {}): Promise<Text> {
  return textFrom(host, 'systat', { ...options, isList: true }, 'allowed');
}
