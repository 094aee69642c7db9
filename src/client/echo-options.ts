import type { Endpoint } from './dial/connection.ts';
import { SmallservdError } from '../errors.ts';
import { assertWithin, type EitherProtocolOptions } from './options.ts';

/** Options common to both uses of echo. */
export interface EchoOptions extends EitherProtocolOptions {
  /** Over TCP: milliseconds of silence before the first keepalive probe, at least 1000. Default: keepalive is off. */
  readonly keepAliveMs?: number | undefined;
  /** Called with the connected peer, or over UDP with each address that is tried. */
  readonly connected?: ((peer: Endpoint) => void) | undefined;
}

/** Throws `ARGUMENT_INVALID`. */
export function assertKeepAlive({ keepAliveMs, udp }: EchoOptions): void {
  if (keepAliveMs === undefined) return;
  if (udp === true) throw new SmallservdError('ARGUMENT_INVALID', '--keepalive needs TCP');
  // The kernel counts in seconds (tcp(7), TCP_KEEPIDLE).
  assertWithin('the keepalive delay in milliseconds', keepAliveMs, 1000, 32_767_000);
}
