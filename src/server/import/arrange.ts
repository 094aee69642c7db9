import { isExposed } from '../../address/exposure.ts';
import { type ListenAddress, type NetworkListenAddress, parseListenAddress } from '../../address/listen-address.ts';
import { findOverlaps, type ResolvedAddress, resolveWithoutLookup } from '../../address/resolve.ts';
import { lookupServicePort } from '../../address/service-ports.ts';
import { findService } from '../../services/index.ts';
import type { Imported, ImportedService, ImportedSettings, InternalService, Note } from './imported.ts';

/** A service of our config. Its listen addresses are valid, and overlap with no others. */
export interface ArrangedService {
  readonly name: string;
  readonly type: InternalService;
  readonly listen: readonly string[];
  readonly settings: ImportedSettings;
  /** Where the entries are. */
  readonly where: readonly string[];
  readonly notes: readonly Note[];
}

export interface Arranged {
  readonly services: readonly ArrangedService[];
  readonly notes: readonly Note[];
}

interface Draft {
  readonly type: InternalService;
  readonly ids: string[];
  readonly listen: string[];
  readonly settings: ImportedSettings;
  readonly where: string[];
  readonly notes: Note[];
}

/**
 * Makes services of entries: those of one type with the same settings become one, TCP and UDP together. What our config
 * would refuse is left out, with a note: invalid addresses, those that are taken, and UDP addresses that strangers
 * could abuse.
 */
export function arrange({ services, notes }: Imported): Arranged {
  const drafts = new Drafts();
  const leftOut: Note[] = [...notes];
  const taken = new TakenAddresses();
  for (const entry of services) {
    const listen = entry.listen.filter((text) => {
      const fault = faultOf(text, entry, taken);
      if (fault !== undefined) leftOut.push({ where: entry.where, message: fault });
      return fault === undefined;
    });
    if (listen.length > 0) drafts.add(entry, listen);
  }
  return { services: nameAll(drafts.all), notes: inOrder(leftOut) };
}

/** Sorts notes by line, and keeps the order of files. */
function inOrder(notes: readonly Note[]): readonly Note[] {
  const files = [...new Set(notes.map(({ where }) => fileOf(where)))];
  const rank = new Map(files.map((file, index) => [file, index]));
  return notes.toSorted(
    (one, other) =>
      (rank.get(fileOf(one.where)) ?? 0) - (rank.get(fileOf(other.where)) ?? 0) ||
      lineOf(one.where) - lineOf(other.where),
  );
}

function lineOf(where: string): number {
  return Number(where.slice(where.lastIndexOf(':') + 1));
}

function fileOf(where: string): string {
  return where.slice(0, where.lastIndexOf(':'));
}

/** Returns why a service may not listen there. If it may, the address is taken from now on. */
function faultOf(text: string, { type }: ImportedService, taken: TakenAddresses): string | undefined {
  let address: ListenAddress;
  try {
    address = parseListenAddress(text, lookupServicePort);
  } catch (error) {
    return `${type} is not imported: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (address.scheme !== 'tcp' && address.scheme !== 'udp') return undefined;
  const hazard = findService(type)?.udpHazard;
  const resolved = resolveWithoutLookup(address);
  // A name may turn out to be a public address.
  const isReachable = resolved?.some((each) => isExposed(each.address)) ?? true;
  if (hazard !== undefined && address.scheme === 'udp' && isReachable)
    return `${type} over UDP is not imported, because ${hazard}: to serve it all the same, add ${text} to "listen" and set exposeUdp: true`;
  return taken.take(address, resolved) ? undefined : `${type} is not imported: an entry above listens on ${text}, too`;
}

/** The addresses of all services so far. */
class TakenAddresses {
  readonly #literal: ResolvedAddress[] = [];
  readonly #names = new Set<string>();

  /** Whether the address was free. */
  take(address: NetworkListenAddress, resolved: readonly ResolvedAddress[] | undefined): boolean {
    return resolved === undefined ? this.#takeName(address) : this.#takeLiteral(address, resolved);
  }

  #takeLiteral({ scheme, port }: NetworkListenAddress, resolved: readonly ResolvedAddress[]): boolean {
    const onPort = this.#literal.filter((each) => each.port === port && each.transport === scheme);
    if (findOverlaps([...onPort, ...resolved]).length > 0) return false;
    this.#literal.push(...resolved);
    return true;
  }

  /** Whether two names are one address shows only when they are resolved. */
  #takeName({ scheme, family, host, port }: NetworkListenAddress): boolean {
    const families = family === 'both' ? ['ipv4', 'ipv6'] : [family];
    const keys = families.map((each) => `${scheme} ${each} ${host.toLowerCase()} ${port}`);
    if (keys.some((key) => this.#names.has(key))) return false;
    for (const key of keys) this.#names.add(key);
    return true;
  }
}

/** Services in the making: at most one entry over TCP and one over UDP each, since two would share one limit. */
class Drafts {
  readonly all: Draft[] = [];
  /** Those that lack an entry of a transport, by that transport, the type and the settings. */
  readonly #open = new Map<string, Draft>();

  add({ type, id, settings, where, notes }: ImportedService, listen: readonly string[]): void {
    const transport = listen[0]?.startsWith('udp') === true ? 'udp' : 'tcp';
    const kind = `${type} ${JSON.stringify(settings)}`;
    const match = this.#open.get(`${transport} ${kind}`);
    if (match !== undefined) {
      this.#open.delete(`${transport} ${kind}`);
      match.ids.push(id);
      match.listen.push(...listen);
      match.where.push(where);
      match.notes.push(...notes);
      return;
    }
    const draft = { type, ids: [id], listen: [...listen], settings, where: [where], notes: [...notes] };
    this.all.push(draft);
    const other = `${transport === 'tcp' ? 'udp' : 'tcp'} ${kind}`;
    if (!this.#open.has(other)) this.#open.set(other, draft);
  }
}

/** The first service of a type has its name. The others have their id in the file, or a number. */
function nameAll(drafts: readonly Draft[]): readonly ArrangedService[] {
  const names = new Set<string>(drafts.map(({ type }) => type));
  const named = new Set<string>();
  return drafts.map(({ type, ids, listen, settings, where, notes }) => {
    const name = named.has(type) ? freeName(type, ids, names) : type;
    named.add(type);
    names.add(name);
    return { name, type, listen, settings, where, notes };
  });
}

function freeName(type: string, ids: readonly string[], names: ReadonlySet<string>): string {
  const id = ids.map((each) => each.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'));
  const free = id.find((each) => /^[a-z][a-z0-9-]{0,62}$/.test(each) && !names.has(each));
  if (free !== undefined) return free;
  let number = 2;
  while (names.has(`${type}-${number}`)) number += 1;
  return `${type}-${number}`;
}
