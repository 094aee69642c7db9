import { Resolver } from 'node:dns';
import { canonicalNameInHosts } from '../../address/hosts-file.ts';
import { readDatabase } from '../../address/system-database.ts';
import type { Cancel } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import { type AddressLookup, type Family, resolveHost } from './resolve-host.ts';
import { type Patience, waitFor } from './wait.ts';

/** Asks a name server for the CNAME record of a name. Returns what gives the question up. */
export type CnameLookup = (
  name: string,
  done: (error: NodeJS.ErrnoException | null, names: readonly string[]) => void,
) => Cancel;

/** Where names come from; by default from this machine. */
export interface NameSources {
  readonly addresses?: AddressLookup | undefined;
  /** The text of hosts(5). */
  readonly hosts?: string | undefined;
  readonly cnames?: CnameLookup | undefined;
}

/** A chain of CNAME records that is longer leads nowhere: it is what BIND follows (max-query-restarts). */
const longestChain = 11;

/**
 * Answers that end a chain. The name has an address, so where no name server runs at all (`ECONNREFUSED`) it comes from
 * elsewhere, and has no CNAME record.
 */
const endOfChain = new Set(['ENODATA', 'ENOTFOUND', 'ECONNREFUSED']);

/**
 * The name that all aliases of a host stand for, with the dot at the end: the first on its line in /etc/hosts, else the
 * last of its CNAME records (RFC 1034 section 3.6.2), else its own. Node cannot ask getaddrinfo(3) for it, so a search
 * list (resolv.conf(5)) adds nothing to the name. Throws `HOST_NOT_FOUND`, also for a name without an address.
 */
export async function canonicalName(
  host: string,
  family: Family,
  patience: Patience,
  { addresses, hosts = readDatabase('/etc/hosts'), cnames = systemCnames }: NameSources = {},
): Promise<string> {
  await resolveHost(host, family, patience, addresses);
  const own = host.replace(/\.$/, '');
  const listed = canonicalNameInHosts(hosts, own);
  if (listed !== undefined) return withDot(listed);
  // No name server need be asked for these (RFC 6761 section 6.3).
  if (/^(.+\.)?localhost$/i.test(own)) return withDot(own);
  const late = (waited: string): SmallservdError =>
    new SmallservdError('HOST_NOT_FOUND', `no answer to the question for the CNAME of ${host} within ${waited}`);
  return waitFor(patience, late, (resolve, reject) => {
    let cancel: Cancel | undefined;
    const follow = (name: string, followed: number): void => {
      cancel = cnames(name, (error, [next]) => {
        if (error !== null && !endOfChain.has(error.code ?? '')) reject(unknown(host, error));
        else if (error !== null || next === undefined) resolve(withDot(name));
        else if (followed === longestChain) reject(endless(host));
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

function endless(host: string): SmallservdError {
  return new SmallservdError('HOST_NOT_FOUND', `${host} has no end: more than ${longestChain} CNAME records follow`);
}

function unknown(host: string, cause: NodeJS.ErrnoException): SmallservdError {
  const message = `the CNAME of ${host} could not be looked up: ${cause.code ?? cause.message}`;
  return new SmallservdError('HOST_NOT_FOUND', message, { cause });
}

const systemCnames: CnameLookup = (name, done) => {
  const resolver = new Resolver();
  resolver.resolveCname(name, (error, names) => done(error, error === null ? names : []));
  return () => resolver.cancel();
};
