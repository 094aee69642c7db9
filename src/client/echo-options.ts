import type { Endpoint } from './dial/connection.ts';
import { SmallservdError } from '../errors.ts';
import { assertWithin, type EitherProtocolOptions } from './options.ts';

/** What both ways to use echo take. */
export interface EchoOptions extends EitherProtocolOptions {
  /** Over TCP: milliseconds of silence before the first keepalive probe, from 1000 on. Without it there are none. */
  readonly keepAliveMs?: number | undefined;
  /** The peer that is talked to; of a name with several addresses over UDP, each that is tried. */
  readonly connected?: ((peer: Endpoint) => void) | undefined;
}

/** Throws `ARGUMENT_INVALID`. */
export function assertKeepAlive({ keepAliveMs, udp }: EchoOptions): void {
  if (keepAliveMs === undefined) return;
  if (udp === true) throw new SmallservdError('ARGUMENT_INVALID', 'keepalive is of TCP: UDP has no connection to keep');
  // The kernel counts in seconds (tcp(7), TCP_KEEPIDLE).
  assertWithin('the keepalive delay in milliseconds', keepAliveMs, 1000, 32_767_000);
}
