import { formatIpv6, parseIp } from '../address/ip-address.ts';
import { SmallservdError } from '../errors.ts';
import { canonicalName } from './dial/canonical-name.ts';
import { type HostAddress, isLookupPending, resolveHost } from './dial/resolve-host.ts';
import { parseHost } from './dial/target.ts';
import { type ClientOptions, withDefaults } from './options.ts';

export { isLookupPending };

/** All addresses of a host, normalized, in the system's order. Throws `ARGUMENT_INVALID` and `HOST_NOT_FOUND`. */
export async function lookupHost(host: string, options: ClientOptions = {}): Promise<readonly HostAddress[]> {
  const found = await resolveHost(parseHost(host), options.family ?? 'both', withDefaults(options));
  return found.map(normalForm);
}

/** The canonical name of a host, with trailing dot. Throws `HOST_NOT_FOUND`, and `ARGUMENT_INVALID` for an address. */
export async function lookupCanonicalName(host: string, options: ClientOptions = {}): Promise<string> {
  const name = parseHost(host);
  if (parseIp(name) !== undefined)
    throw new SmallservdError('ARGUMENT_INVALID', `${name} is an address: expected a host name`);
  return canonicalName(name, options.family ?? 'both', withDefaults(options));
}

/** The system returns a literal as it was written. */
function normalForm({ address, family }: HostAddress): HostAddress {
  const ip = family === 'ipv6' ? parseIp(address) : undefined;
  return ip === undefined || address.includes('%') ? { address, family } : { address: formatIpv6(ip), family };
}
