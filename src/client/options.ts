import { type Clock, systemClock } from '../clock/clock.ts';
import { type Attempt, Attempts } from './dial/attempts.ts';
import type { Endpoint } from './dial/connection.ts';
import { familyOnPath, type PathControls } from './dial/path-controls.ts';
import type { Family, HostAddress, HostAddresses } from './dial/resolve-host.ts';
import { defaultTimeoutMs, foreverMs } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';

export { type Attempt, Attempts, defaultTimeoutMs, type Endpoint, type PathControls };

/** The maximum UDP payload, and as much data as an ICMP echo request has. */
export const largestDatagramBytes = { ipv4: 65_507, ipv6: 65_527 } as const;

/** Options common to all clients that talk to a host. */
export interface ClientOptions {
  /** `ipv4` or `ipv6` for one family only. Default `both`, as the system prefers. */
  readonly family?: Family | undefined;
  /**
   * Milliseconds for name lookup, connection and answer together. What waits for several answers gives as much to name
   * lookup and connection together, and to each answer. Default 5000.
   */
  readonly timeoutMs?: number | undefined;
  /** Ends the operation early with `INTERRUPTED`. */
  readonly signal?: AbortSignal | undefined;
  /** Default: the system clock. */
  readonly clock?: Clock | undefined;
  /** How packets leave this machine and travel. Default: as the system decides. */
  readonly pathControls?: PathControls | undefined;
  /** Records the addresses that are tried, for a report. */
  readonly attempts?: Attempts | undefined;
}

/** Options of services available over both protocols. */
export interface EitherProtocolOptions extends ClientOptions {
  /** Use UDP instead of TCP. Default false. */
  readonly udp?: boolean | undefined;
}

/** Options with the defaults of all clients applied. */
export type WithDefaults<Options> = Options & {
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly family: Family;
};

/**
 * Applies the defaults of timeout, clock and family. Throws `ARGUMENT_INVALID` for a timeout that no timer can hold,
 * and for a path that is not available.
 */
export function withDefaults<Options extends ClientOptions>(options: Options): WithDefaults<Options> {
  const { timeoutMs = defaultTimeoutMs, clock = systemClock, family = 'both', pathControls = {} } = options;
  assertWithin('the timeout in milliseconds', timeoutMs, 1, foreverMs);
  return { ...options, timeoutMs, clock, family: familyOnPath(pathControls, family) };
}

/** The addresses to which a datagram of this size can be sent. Throws `ARGUMENT_INVALID` if there is none. */
export function addressesFor(sizeBytes: number, addresses: HostAddresses): HostAddresses {
  const [first, ...others] = addresses.filter((each: HostAddress) => sizeBytes <= largestDatagramBytes[each.family]);
  if (first !== undefined) return [first, ...others];
  const { address, family } = addresses[0];
  const most = `at most ${largestDatagramBytes[family]} bytes over IPv${family === 'ipv4' ? 4 : 6}`;
  throw new SmallservdError('ARGUMENT_INVALID', `the size is ${sizeBytes} bytes: ${address} takes ${most}`);
}

/** Throws `ARGUMENT_INVALID` unless `value` is an integer in the range. */
export function assertWithin(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${least}` : `${least} to ${most}`;
  throw new SmallservdError('ARGUMENT_INVALID', `${what} is ${value}: expected ${range}`);
}
