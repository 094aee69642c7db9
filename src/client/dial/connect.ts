import type { Socket } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import { type Cancel, systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import type { Outcome } from '../../outcomes.ts';
import type { Attempts } from './attempts.ts';
import { describeNetworkError, outcomeOf } from './network-error.ts';
import type { PathControls } from './path-controls.ts';
import { type AddressLookup, type Family, type HostAddress, resolveHost } from './resolve-host.ts';
import type { Target } from './target.ts';
import { dialTcp } from './tcp-dial.ts';
import { type Patience, startTimeout, waitFor } from './wait.ts';

export interface ConnectOptions extends Patience {
  /** Default `both`: both families, starting with the one the system prefers. */
  readonly family?: Family | undefined;
  /** How packets leave and travel. Default: as the system decides. */
  readonly pathControls?: PathControls | undefined;
  /** Resolves names. Default: the system resolver. */
  readonly lookup?: AddressLookup | undefined;
  /** Where the addresses that are tried are recorded. */
  readonly attempts?: Attempts | undefined;
}

/** Head start of each address over the next (RFC 8305 section 5, Connection Attempt Delay). */
const attemptDelayMs = 250;

/**
 * Connects to whichever address of a name answers first (Happy Eyeballs, RFC 8305). Node's own autoSelectFamily gives
 * up on each address after 250 ms, too short for an intercontinental connection, so here attempts go on while later
 * ones start. Name lookup and connection share the timeout. The socket allows half-open connections and has no
 * listeners attached. Throws `HOST_NOT_FOUND` and `CONNECT_FAILED`.
 */
export async function connect(target: Target, options: ConnectOptions): Promise<Socket> {
  const begun = startTimeout(options);
  const addresses = await resolveHost(target.host, options.family ?? 'both', begun, options.lookup);
  return race(interleave(addresses), target, begun);
}

/** Alternates the families, starting with that of the first address (RFC 8305 section 4). */
export function interleave(addresses: readonly HostAddress[]): readonly HostAddress[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  return first.flatMap((each, turn) => [each, ...second.slice(turn, turn + 1)]).concat(second.slice(first.length));
}

/** Starts attempts, each with a head start over the next, until one succeeds or all have failed. */
async function race(addresses: readonly HostAddress[], target: Target, options: ConnectOptions): Promise<Socket> {
  const { clock = systemClock, pathControls = {}, attempts } = options;
  const name = formatHostPort(target.host, target.port);
  const late = (waited: string): SmallservdError =>
    new SmallservdError('CONNECT_FAILED', `cannot connect to ${name}: no answer within ${waited}`, {
      outcome: 'timeout',
    });
  return waitFor<Socket>(options, late, (resolve, reject) => {
    /** What gives up each attempt under way, and what records its end. */
    const underWay = new Map<Cancel, ((outcome: Outcome | undefined) => void) | undefined>();
    const failures: Failure[] = [];
    let next = 0;
    let cancel: Cancel | undefined;
    const attempt = (): void => {
      cancel?.();
      const address = addresses[next++];
      if (address === undefined) return;
      const ended = attempts?.begin(address.address);
      const giveUp = dialTcp(address, target.port, pathControls, {
        failed: (error) => {
          failures.push({ address: address.address, error });
          underWay.delete(giveUp);
          ended?.(outcomeOf(error));
          if (failures.length === addresses.length) reject(describeFailures(name, failures));
          else attempt();
        },
        connected: (socket) => {
          underWay.delete(giveUp);
          ended?.('ok');
          // At once: another one may succeed in the same turn, and nobody would close it.
          for (const [giveUpOther, otherEnded] of underWay) {
            giveUpOther();
            otherEnded?.(undefined);
          }
          underWay.clear();
          resolve(socket);
        },
      });
      underWay.set(giveUp, ended);
      cancel = clock.after(attemptDelayMs, attempt);
    };
    attempt();
    return () => {
      cancel?.();
      for (const giveUp of underWay.keys()) giveUp();
      next = addresses.length;
    };
  });
}

interface Failure {
  readonly address: string;
  readonly error: Error;
}

function describeFailures(name: string, failures: readonly Failure[]): SmallservdError {
  const reasons = [...new Set(failures.map(({ address, error }) => describeNetworkError(error, address)))];
  const all = failures.map(({ address, error }) => `${address}: ${describeNetworkError(error, address)}`);
  const reason = reasons.length === 1 ? reasons[0] : all.join('; ');
  const cause = failures[0]?.error;
  return new SmallservdError('CONNECT_FAILED', `cannot connect to ${name}: ${reason}`, {
    cause,
    outcome: outcomeOf(cause),
  });
}
