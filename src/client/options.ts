import type { Clock } from '../clock/clock.ts';
import type { Family } from './dial/resolve-host.ts';
import { defaultTimeoutMs, foreverMs } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';

export { defaultTimeoutMs };

/** What IPv4 lets a datagram carry. */
export const largestDatagramBytes = 65_507;

/** What every client that talks to a host takes. */
export interface ClientOptions {
  /** `ip4` or `ip6` for one family only. Default `ip`: either, as the system prefers. */
  readonly family?: Family | undefined;
  /** Milliseconds, for each of: the name, the connection, the answer. Default 5000. */
  readonly timeoutMs?: number | undefined;
  /** Ends it early; it then throws `INTERRUPTED`. */
  readonly signal?: AbortSignal | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** The options of services that are served over both protocols. */
export interface EitherProtocolOptions extends ClientOptions {
  /** Over UDP instead of TCP. Default false. */
  readonly udp?: boolean | undefined;
}

/** The options with their timeout. Throws `ARGUMENT_INVALID` for one that no timer can hold. */
export function withDefaults<Options extends ClientOptions>(
  options: Options,
): Options & { readonly timeoutMs: number } {
  const { timeoutMs = defaultTimeoutMs } = options;
  assertWithin('the timeout in milliseconds', timeoutMs, 1, foreverMs);
  return { ...options, timeoutMs };
}

/** Throws `ARGUMENT_INVALID` unless `value` is a whole number in the range. */
export function assertWithin(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new SmallservdError('ARGUMENT_INVALID', `${what} is ${value}: expected ${least} to ${most}`);
}
