import { formatIpv6, parseIp } from '../address/ip-address.ts';
import { SmallservdError } from '../errors.ts';
import { canonicalName } from './dial/canonical-name.ts';
import { type HostAddress, resolveHost } from './dial/resolve-host.ts';
import { parseHost } from './dial/target.ts';
import { type ClientOptions, withDefaults } from './options.ts';

/**
 * All addresses of a host, in the order in which the system prefers them and in their normal form. Throws
 * `ARGUMENT_INVALID` and `HOST_NOT_FOUND`.
 */
export async function lookupHost(host: string, options: ClientOptions = {}): Promise<readonly HostAddress[]> {
  const found = await resolveHost(parseHost(host), options.family ?? 'both', withDefaults(options));
  return found.map(normalForm);
}

/**
 * The name that all aliases of a host stand for, with the dot at the end. Throws `ARGUMENT_INVALID`, also for an
 * address, and `HOST_NOT_FOUND`.
 */
export async function lookupCanonicalName(host: string, options: ClientOptions = {}): Promise<string> {
  return canonicalName(parseName(host), options.family ?? 'both', withDefaults(options));
}

function parseName(text: string): string {
  const host = parseHost(text);
  if (parseIp(host) === undefined) return host;
  throw new SmallservdError('ARGUMENT_INVALID', `${host} is an address: expected a name, which has a canonical one`);
}

/** A literal comes back from the system as it was written. */
function normalForm({ address, family }: HostAddress): HostAddress {
  const ip = family === 'ipv6' ? parseIp(address) : undefined;
  return ip === undefined || address.includes('%') ? { address, family } : { address: formatIpv6(ip), family };
}
