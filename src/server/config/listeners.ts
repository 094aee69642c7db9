import type { ListenAddress } from '../../address/listen-address.ts';
import { findOverlaps, type ResolvedAddress, resolveWithoutLookup } from '../../address/resolve.ts';
import { isExposed } from '../../address/exposure.ts';
import { exposureMessage } from './exposure.ts';
import type { LoadedConfig } from './loaded-config.ts';
import type { Problems } from './problems.ts';
import { formatPath, type Path } from './raw.ts';

/** Looks up the id of a user or a group; undefined if the name is unknown. */
export type AccountLookup = (kind: 'user' | 'group', account: string) => Promise<number | undefined>;

/** Where a service listens. */
export interface Listening {
  readonly service: string;
  readonly type: string;
  readonly listen: readonly ListenAddress[];
  /** Why UDP needs `exposeUdp`; undefined if that is set or not needed. */
  readonly hazard: string | undefined;
}

/** A listen address and its location in the config. */
interface Entry {
  readonly path: Path;
  /** The name shown in messages: the service, or `admin`. */
  readonly owner: string;
  readonly address: ListenAddress;
}

interface Named {
  readonly path: Path;
  readonly owner: string;
  readonly text: string;
}

interface Listener extends ResolvedAddress, Named {}

/**
 * Checks everything that does not need a resolver: every service listens, no two listeners overlap (the admin endpoint
 * included), owners of UNIX sockets exist, and no service that can be abused over UDP answers strangers. Host names are
 * resolved when the listeners open.
 */
export async function checkListeners(
  services: readonly Listening[],
  admin: ListenAddress | null,
  accounts: AccountLookup | undefined,
  place: LoadedConfig['place'],
  problems: Problems,
): Promise<void> {
  for (const { service, listen } of services) {
    if (listen.length > 0) continue;
    const path = ['services', service, 'listen'];
    const message = 'is missing: expected at least one address, such as tcp://localhost:1201';
    problems.add(place(path), path, message);
  }
  const ofAdmin = admin === null ? [] : [{ path: ['admin', 'listen'], owner: 'admin', address: admin }];
  const entries = [...services.flatMap(entriesOf), ...ofAdmin];
  checkOverlaps(entries, place, problems);
  if (accounts !== undefined) await checkAccounts(entries, accounts, place, problems);
  for (const each of services) if (each.hazard !== undefined) checkExposure(each, each.hazard, place, problems);
}

function entriesOf({ service, listen }: Listening): readonly Entry[] {
  return listen.map((address, index) => ({
    path: ['services', service, 'listen', index],
    owner: `services.${service}`,
    address,
  }));
}

function checkOverlaps(entries: readonly Entry[], place: LoadedConfig['place'], problems: Problems): void {
  const reported = new Set<string>();
  for (const [one, other] of [...sameAddresses(entries), ...findOverlaps(entries.flatMap(listenersOf))]) {
    const name = formatPath(other.path);
    if (reported.has(name)) continue;
    reported.add(name);
    const owner = one.owner === other.owner ? 'this service' : one.owner;
    const relation = one.text === other.text ? 'is also an address of' : `overlaps with ${one.text} of`;
    problems.add(place(other.path), other.path, `${other.text} ${relation} ${owner}`);
  }
}

async function checkAccounts(
  entries: readonly Entry[],
  lookup: AccountLookup,
  place: LoadedConfig['place'],
  problems: Problems,
): Promise<void> {
  for (const { path, address } of entries) {
    if (address.scheme !== 'unix') continue;
    const named = [
      ['user', address.owner],
      ['group', address.group],
    ] as const;
    for (const [kind, account] of named) {
      if (account === null || (await lookup(kind, account)) !== undefined) continue;
      problems.add(place(path), path, `${address.text}: there is no ${kind} ${account}`);
    }
  }
}

function listenersOf({ path, owner, address }: Entry): readonly Listener[] {
  if (address.scheme !== 'tcp' && address.scheme !== 'udp') return [];
  const resolved = resolveWithoutLookup(address) ?? [];
  return resolved.map((each) => ({ ...each, path, owner, text: address.text }));
}

/** Finds duplicate addresses that are not literals: the same path, descriptor or name. */
function* sameAddresses(entries: readonly Entry[]): Generator<readonly [Named, Named]> {
  const seen = new Map<string, Named>();
  for (const { path, owner, address } of entries) {
    const key = identityOf(address);
    if (key === undefined) continue;
    const named = { path, owner, text: address.text };
    const first = seen.get(key);
    if (first === undefined) seen.set(key, named);
    else yield [first, named];
  }
}

function identityOf(address: ListenAddress): string | undefined {
  if (address.scheme === 'unix') return `unix ${address.path}`;
  if (address.scheme === 'fd') return `fd ${address.fd}`;
  if (address.scheme === 'systemd') return `systemd ${address.name}`;
  if (address.port === 0 || resolveWithoutLookup(address) !== undefined) return undefined;
  return `${address.scheme} ${address.family} ${address.host.toLowerCase()} ${address.port}`;
}

function checkExposure(listening: Listening, hazard: string, place: LoadedConfig['place'], problems: Problems): void {
  for (const [index, address] of listening.listen.entries()) {
    if (address.scheme !== 'udp') continue;
    const resolved = resolveWithoutLookup(address) ?? [];
    if (!resolved.some((each) => isExposed(each.address))) continue;
    const path = ['services', listening.service, 'listen', index];
    problems.add(place(path), path, exposureMessage(address.text, listening.type, hazard));
  }
}
