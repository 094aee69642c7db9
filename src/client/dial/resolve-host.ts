import { lookup as dnsLookup } from 'node:dns';
import { isIP } from 'node:net';
import { SmallservdError } from '../../errors.ts';
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

/** All addresses of a host, without duplicates, in the system's order. Throws `HOST_NOT_FOUND`. */
export async function resolveHost(
  host: string,
  family: Family,
  patience: Patience,
  lookup: AddressLookup = systemLookup,
): Promise<HostAddresses> {
  const late = (waited: string): SmallservdError =>
    new SmallservdError('HOST_NOT_FOUND', `cannot resolve ${host}: no answer within ${waited}`);
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
  return new SmallservdError('HOST_NOT_FOUND', whyNotFound(host, family, cause?.code), { cause });
}

function whyNotFound(host: string, family: Family, code: string | undefined): string {
  if (code === 'EAI_AGAIN' || code === 'ETIMEOUT') return `${host} could not be looked up: no name server answers`;
  const version = isIP(host);
  if (version === 0) return `${host} has no ${familyWord[family]}`;
  return `${host} is an IPv${version} address: expected an ${familyWord[family]} or a name`;
}

function systemLookup(...[host, family, done]: Parameters<AddressLookup>): void {
  dnsLookup(host, { family, all: true, verbatim: true }, done);
}
