import type { Endpoint } from '../dial/connection.ts';
import { SmallservdError } from '../../errors.ts';
import type { EchoPingEvent } from './result.ts';
import { assertWithin, type EitherProtocolOptions } from '../options.ts';

/** Options common to both uses of echo. */
export interface EchoOptions extends EitherProtocolOptions {
  /** Over TCP: milliseconds of silence before the first keepalive probe, at least 1000. Default: keepalive is off. */
  readonly keepAliveMs?: number | undefined;
  /** Called with the connected peer, or over UDP with each address that is tried. */
  readonly connected?: ((peer: Endpoint) => void) | undefined;
}

export interface EchoPingOptions extends EchoOptions {
  /** Number of requests, or 0 to continue until the signal aborts. Default 0. */
  readonly count?: number | undefined;
  /** Bytes of each request: 1 to 16 MiB over TCP, over UDP 0 to 65507, or 65527 over IPv6. Default 512. */
  readonly sizeBytes?: number | undefined;
  /** Milliseconds from the start of one request to the next. Default 1000. */
  readonly intervalMs?: number | undefined;
  /** Milliseconds from the first request to the end of the run at the latest. Default: no deadline. */
  readonly deadlineMs?: number | undefined;
  /**
   * Source ports that take turns, 1 to 256: a socket or connection for each. With more than one, the result has a
   * summary of each. If `pathControls` has a source port, it is the first of consecutive ones. Default 1.
   */
  readonly flows?: number | undefined;
  /** Returns numbers from 0 up to, but not including, 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Called for each event as it happens. */
  readonly observe?: ((event: EchoPingEvent) => void) | undefined;
}

/** Throws `ARGUMENT_INVALID`. */
export function assertKeepAlive({ keepAliveMs, udp }: EchoOptions): void {
  if (keepAliveMs === undefined) return;
  if (udp === true) throw new SmallservdError('ARGUMENT_INVALID', '--keepalive needs TCP');
  // The kernel counts in seconds (tcp(7), TCP_KEEPIDLE).
  assertWithin('the keepalive delay in milliseconds', keepAliveMs, 1000, 32_767_000);
}
