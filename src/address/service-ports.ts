import { parseDatabase, readDatabase } from './system-database.ts';

/** Resolves a service name to its port, like getservbyname(3). */
export type ServicePortLookup = (name: string, protocol: 'tcp' | 'udp') => number | undefined;

/** An entry of services(5). */
export interface ServiceEntry {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly aliases: readonly string[];
}

/** Our own services, known even without /etc/services (slim images). */
const ownEntries: readonly ServiceEntry[] = Object.entries({
  echo: 7,
  discard: 9,
  systat: 11,
  daytime: 13,
  qotd: 17,
  chargen: 19,
  time: 37,
  tcpmux: 1,
  finger: 79,
  ident: 113,
  // IANA's name for the port is twamp-test (RFC 8545).
  stamp: 862,
}).flatMap(([name, port]) => (['tcp', 'udp'] as const).map((protocol) => ({ name, protocol, port, aliases: [] })));

/** Parses a services(5) file and appends our own entries. Malformed lines are skipped. */
export function parseServiceEntries(text: string): readonly ServiceEntry[] {
  const entries = parseDatabase(text).flatMap(([name, target = '', ...aliases]): ServiceEntry[] => {
    const match = /^(\d{1,5})\/(tcp|udp)$/.exec(target);
    if (match === null || Number(match[1]) > 65_535) return [];
    return [{ name, protocol: match[2] === 'udp' ? 'udp' : 'tcp', port: Number(match[1]), aliases }];
  });
  return [...entries, ...ownEntries];
}

/** Parses services(5) text. The first entry for a name wins. */
export function parseServicesFile(text: string): ServicePortLookup {
  const ports = new Map<string, number>();
  for (const { name, protocol, port, aliases } of parseServiceEntries(text)) {
    for (const each of [name, ...aliases]) {
      const key = `${each}/${protocol}`;
      if (!ports.has(key)) ports.set(key, port);
    }
  }
  return (name, protocol) => ports.get(`${name}/${protocol}`);
}

/** A lookup in a file that is read on first use. A missing or unreadable file counts as empty. */
export function servicePortsOf(file: string): ServicePortLookup {
  let lookup: ServicePortLookup | undefined;
  return (name, protocol) => {
    lookup ??= parseServicesFile(readDatabase(file));
    return lookup(name, protocol);
  };
}

/** Resolves a service name or alias in /etc/services. Our own services are known without it. */
export const lookupServicePort: ServicePortLookup = servicePortsOf('/etc/services');
