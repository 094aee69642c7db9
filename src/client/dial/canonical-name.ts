import { Resolver } from 'node:dns';
import { canonicalNameInHosts } from '../../address/hosts-file.ts';
import { readDatabase } from '../../address/system-database.ts';
import type { Cancel } from '../../clock/clock.ts';
import { isLocalhost } from '../../address/own-address.ts';
import { SmallservdError } from '../../errors.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { type AddressLookup, type Family, resolveHost } from './resolve-host.ts';
import { type Patience, startTimeout, waitFor } from './wait.ts';

/** Queries a name server for the CNAME record of a name. Returns a function that cancels the query. */
export type CnameLookup = (
  name: string,
  done: (error: NodeJS.ErrnoException | null, names: readonly string[]) => void,
) => Cancel;

/** Where names are looked up. Default: this machine. */
export interface NameSources {
  readonly addresses?: AddressLookup | undefined;
  /** Contents of the hosts(5) file. */
  readonly hosts?: string | undefined;
  readonly cnames?: CnameLookup | undefined;
}

/** The longest CNAME chain to follow. BIND has the same limit (max-query-restarts). */
const longestChain = 11;

/**
 * Errors that end a chain. The name is known to have an address, so if no name server is running (`ECONNREFUSED`), the
 * address comes from another source and there is no CNAME record.
 */
const endOfChain = new Set(['ENODATA', 'ENOTFOUND', 'ECONNREFUSED']);

/**
 * The canonical name of a host, with the trailing dot: the first name on its line in /etc/hosts, otherwise the last of
 * its CNAME records (RFC 1034 section 3.6.2), otherwise the name itself. Node cannot ask getaddrinfo(3) for it, so
 * search lists (resolv.conf(5)) do not apply. Throws `HOST_NOT_FOUND`, also for a name without an address.
 */
export async function canonicalName(
  host: string,
  family: Family,
  patience: Patience,
  { addresses, hosts = readDatabase('/etc/hosts'), cnames = systemCnames }: NameSources = {},
): Promise<string> {
  const begun = startTimeout(patience);
  await resolveHost(host, family, begun, addresses);
  const own = host.replace(/\.$/, '');
  const listed = canonicalNameInHosts(hosts, own);
  if (listed !== undefined) return withDot(listed);
  if (isLocalhost(own)) return withDot(own);
  const late = (waited: string): SmallservdError =>
    new SmallservdError('HOST_NOT_FOUND', `cannot look up the CNAME of ${host}: no answer within ${waited}`);
  return waitFor(begun, late, (resolve, reject) => {
    let cancel: Cancel | undefined;
    const fail = (message: string, options?: ErrorOptions): void =>
      reject(new SmallservdError('HOST_NOT_FOUND', message, options));
    const follow = (name: string, followed: number): void => {
      cancel = cnames(name, (error, [next]) => {
        if (error !== null && !endOfChain.has(error.code ?? ''))
          fail(`cannot look up the CNAME of ${host}: ${describeSystemError(error, 'name')}`, { cause: error });
        else if (error !== null || next === undefined) resolve(withDot(name));
        else if (followed === longestChain) fail(`the CNAME chain of ${host} is longer than ${longestChain} records`);
        else follow(next, followed + 1);
      });
    };
    follow(own, 0);
    return () => cancel?.();
  });
}

function withDot(name: string): string {
  return name.endsWith('.') ? name : `${name}.`;
}

const systemCnames: CnameLookup = (name, done) => {
  const resolver = new Resolver();
  resolver.resolveCname(name, (error, names) => done(error, error === null ? names : []));
  return () => resolver.cancel();
};
