import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ListenAddress } from '../../address/listen-address.ts';
import { findOverlaps, type ResolvedAddress, resolveWithoutLookup } from '../../address/resolve.ts';
import { isExposed } from '../../address/exposure.ts';
import type { ServiceModule } from '../../service.ts';
import { exposureMessage } from './exposure.ts';
import type { Report } from './problems.ts';
import { systemClock } from '../../clock/clock.ts';
import { answerInTime, FileError } from '../../regular-file.ts';
import { noDirectory } from '../../system-error-text.ts';
import type { Path } from './raw.ts';
import { transportFault } from './transports.ts';

/** Looks up the id of a user or a group; undefined if the name is unknown. */
export type AccountLookup = (kind: 'user' | 'group', account: string) => Promise<number | undefined>;

/** What else is checked than the config itself. */
export interface ListenerChecks {
  /** If set, owners and groups of UNIX sockets are looked up. */
  readonly accounts?: AccountLookup | undefined;
  /** Whether to look for the directories of UNIX sockets. */
  readonly mayOpenFiles: boolean;
}

/** Where a service listens. */
export interface Listening {
  readonly service: string;
  readonly type: string;
  readonly listen: readonly ListenAddress[];
  /** The only transport over which it answers; undefined for both, or if its module is not known. */
  readonly transport: ServiceModule['transport'];
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

/**
 * Checks everything that does not need a resolver: every service listens, and only on transports over which it answers,
 * no two listeners overlap (the admin endpoint included), owners and directories of UNIX sockets exist, and no service
 * that can be abused over UDP answers strangers. Host names are resolved when the listeners open.
 */
export async function checkListeners(
  services: readonly Listening[],
  admin: ListenAddress | null,
  { accounts, mayOpenFiles }: ListenerChecks,
  report: Report,
): Promise<void> {
  for (const { service, listen } of services) {
    if (listen.length > 0) continue;
    const path = ['services', service, 'listen'];
    report(path, 'is missing or empty: expected at least one address, such as tcp://localhost:1201');
  }
  const ofAdmin = admin === null ? [] : [{ path: ['admin', 'listen'], owner: 'admin', address: admin }];
  const entries = [...services.flatMap(entriesOf), ...ofAdmin];
  checkOverlaps(entries, report);
  if (accounts !== undefined) await checkAccounts(entries, accounts, report);
  if (mayOpenFiles) await checkDirectories(entries, report);
  for (const each of services) {
    checkTransports(each, report);
    if (each.hazard !== undefined) checkExposure(each, each.hazard, report);
  }
}

function entriesOf({ service, listen }: Listening): readonly Entry[] {
  return listen.map((address, index) => ({
    path: ['services', service, 'listen', index],
    owner: `services.${service}`,
    address,
  }));
}

function checkOverlaps(entries: readonly Entry[], report: Report): void {
  const literal = entries.flatMap(literalsOf);
  const pairs = [...sameAddresses(entries), ...findOverlaps(literal).map(([one, other]) => [one.entry, other.entry])];
  const reported = new Set<Entry>();
  for (const [one, other] of pairs) {
    if (one === undefined || other === undefined || reported.has(other)) continue;
    reported.add(other);
    const owner = one.owner === other.owner ? 'this service' : one.owner;
    const [first, text] = [one.address.text, other.address.text];
    report(other.path, `${text} ${first === text ? 'is also an address of' : `overlaps with ${first} of`} ${owner}`);
  }
}

async function checkAccounts(entries: readonly Entry[], lookup: AccountLookup, report: Report): Promise<void> {
  for (const { path, address } of entries) {
    if (address.scheme !== 'unix') continue;
    const named = [
      ['user', address.owner],
      ['group', address.group],
    ] as const;
    for (const [kind, account] of named) {
      if (account === null || (await lookup(kind, account)) !== undefined) continue;
      report(path, `${address.text}: "${account}" is not a ${kind} on this machine`);
    }
  }
}

async function checkDirectories(entries: readonly Entry[], report: Report): Promise<void> {
  for (const { path, address } of entries) {
    if (address.scheme !== 'unix') continue;
    const directory = dirname(address.path);
    // systemd makes those with the service (RuntimeDirectory=).
    if (directory.startsWith('/run/')) continue;
    const found = await answerInTime(directory, systemClock, () => stat(directory)).catch((error: unknown) => error);
    // Whatever else is wrong shows when the socket is opened.
    if (found instanceof FileError && found.code === 'ENOENT')
      report(path, `${address.text}: ${noDirectory(directory)}`);
  }
}

function literalsOf(entry: Entry): readonly (ResolvedAddress & { readonly entry: Entry })[] {
  const { address } = entry;
  if (address.scheme !== 'tcp' && address.scheme !== 'udp') return [];
  return (resolveWithoutLookup(address) ?? []).map((each) => ({ ...each, entry }));
}

/** Finds duplicate addresses that are not literals: the same path, descriptor or name. */
function* sameAddresses(entries: readonly Entry[]): Generator<readonly [Entry, Entry]> {
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    const key = identityOf(entry.address);
    const first = key === undefined ? undefined : seen.get(key);
    if (first !== undefined) yield [first, entry];
    else if (key !== undefined) seen.set(key, entry);
  }
}

function identityOf(address: ListenAddress): string | undefined {
  if (address.scheme === 'unix') return `unix ${address.path}`;
  if (address.scheme === 'fd') return `fd ${address.fd}`;
  if (address.scheme === 'systemd') return `systemd ${address.name}`;
  if (address.port === 0 || resolveWithoutLookup(address) !== undefined) return undefined;
  return `${address.scheme} ${address.family} ${address.host.toLowerCase()} ${address.port}`;
}

/** The transport of inherited sockets is known only when they open. */
function checkTransports({ service, type, listen, transport }: Listening, report: Report): void {
  for (const [index, { scheme, text }] of listen.entries()) {
    if (scheme === 'fd' || scheme === 'systemd') continue;
    const fault = transportFault(text, scheme, type, transport);
    if (fault !== undefined) report(['services', service, 'listen', index], fault);
  }
}

function checkExposure(listening: Listening, hazard: string, report: Report): void {
  for (const [index, address] of listening.listen.entries()) {
    if (address.scheme !== 'udp') continue;
    const resolved = resolveWithoutLookup(address) ?? [];
    if (!resolved.some((each) => isExposed(each.address))) continue;
    const path = ['services', listening.service, 'listen', index];
    report(path, exposureMessage(address.text, listening.type, hazard));
  }
}
