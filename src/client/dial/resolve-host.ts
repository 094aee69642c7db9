import { lookup as dnsLookup } from 'node:dns';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLocalhost, loopback } from '../../address/own-address.ts';
import { SmallservdError } from '../../errors.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { assertSourceFamily } from './source-family.ts';
import { type Patience, waitFor } from './wait.ts';

/** The address families to return. */
export type Family = 'both' | 'ipv4' | 'ipv6';

export interface HostAddress {
  /** Without brackets. An IPv6 address may have a zone. */
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
}

/** The addresses of a host: at least one. */
export type HostAddresses = readonly [HostAddress, ...HostAddress[]];

/** Matches Node's getaddrinfo(3) wrapper: addresses in the system's order of preference. */
export type AddressLookup = (
  host: string,
  family: 0 | 4 | 6,
  done: (error: NodeJS.ErrnoException | null, found: readonly { address: string; family: number }[]) => void,
) => void;

const familyNumber = { both: 0, ipv4: 4, ipv6: 6 } as const;
const familyWord = { both: 'address', ipv4: 'IPv4 address', ipv6: 'IPv6 address' } as const;

interface ResolvePatience extends Patience {
  readonly pathControls?: { readonly source?: string | undefined } | undefined;
}

/**
 * All addresses of a host, without duplicates, in the system's order. Throws `HOST_NOT_FOUND`, and `ARGUMENT_INVALID`
 * for an address that is not of the family of the source address.
 */
export async function resolveHost(
  host: string,
  family: Family,
  patience: ResolvePatience,
  lookup: AddressLookup = systemLookup,
): Promise<HostAddresses> {
  assertSourceFamily(patience.pathControls?.source, host);
  if (isLocalhost(host)) return loopbackAddresses(family);
  const late = (waited: string): SmallservdError =>
    new SmallservdError('HOST_NOT_FOUND', `cannot resolve ${host}: no answer within ${waited}`, { outcome: 'timeout' });
  return waitFor(patience, late, (resolve, reject) => {
    lookup(host, familyNumber[family], (error, found) => {
      if (error !== null) return reject(notFound(host, family, error));
      // A name may appear twice in /etc/hosts.
      const addresses = new Map<string, HostAddress>();
      for (const each of found) addresses.set(each.address, { ...each, family: each.family === 6 ? 'ipv6' : 'ipv4' });
      // A literal is returned regardless of the family requested.
      const [first, ...others] = [...addresses.values()].filter((each) => family === 'both' || each.family === family);
      if (first === undefined) reject(notFound(host, family));
      else resolve([first, ...others]);
    });
    return () => {};
  });
}

function notFound(host: string, family: Family, cause?: NodeJS.ErrnoException): SmallservdError {
  return new SmallservdError('HOST_NOT_FOUND', whyNotFound(host, family, cause), {
    cause,
    outcome: isSilence(cause) ? 'timeout' : undefined,
  });
}

/** No name server answers. That says nothing about the name. */
function isSilence(cause: NodeJS.ErrnoException | undefined): boolean {
  return cause?.code === 'EAI_AGAIN' || cause?.code === 'ETIMEOUT';
}

function whyNotFound(host: string, family: Family, cause?: NodeJS.ErrnoException): string {
  const code = cause?.code;
  const version = isIP(host);
  if (version === 0 && code !== undefined && code !== 'ENOTFOUND')
    return `cannot resolve ${host}: ${describeSystemError(cause, 'name')}`;
  if (version === 0) return `${host} has no ${familyWord[family]}`;
  const [, zone] = host.split('%');
  if (zone !== undefined && code !== undefined) return `${host}: this machine has no interface ${zone}`;
  return `${host} is an IPv${version} address: expected an ${familyWord[family]} or a name`;
}

/** In the usual order of preference, without the family that this machine lacks. */
function loopbackAddresses(family: Family): HostAddresses {
  const ipv4 = { address: loopback.ipv4, family: 'ipv4' } as const;
  const ipv6 = { address: loopback.ipv6, family: 'ipv6' } as const;
  if (family !== 'both') return [family === 'ipv6' ? ipv6 : ipv4];
  const own = ownAddresses();
  if (own?.has(loopback.ipv6) === false) return [ipv4];
  return own?.has(loopback.ipv4) === false ? [ipv6] : [ipv6, ipv4];
}

/** Undefined if the system does not tell: a sandbox without AF_NETLINK cannot list interfaces. */
function ownAddresses(): ReadonlySet<string> | undefined {
  try {
    return new Set(Object.values(networkInterfaces()).flatMap((each = []) => each.map(({ address }) => address)));
  } catch {
    return undefined;
  }
}

let pendingLookups = 0;

/** Whether getaddrinfo(3) is running. Nothing can stop it, and Node waits for its thread before the process exits. */
export function isLookupPending(): boolean {
  return pendingLookups > 0;
}

/** Asks getaddrinfo(3). */
export function systemLookup(...[host, family, done]: Parameters<AddressLookup>): void {
  pendingLookups += 1;
  dnsLookup(host, { family, all: true, verbatim: true }, (...answer) => {
    pendingLookups -= 1;
    done(...answer);
  });
}
