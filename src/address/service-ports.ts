import { parseDatabase, readDatabase } from './system-database.ts';

/** Looks up the port that a service's name stands for, as getservbyname(3) does. */
export type ServicePortLookup = (name: string, protocol: 'tcp' | 'udp') => number | undefined;

/** A line of services(5). */
export interface ServiceEntry {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly aliases: readonly string[];
}

/** What the daemon serves is known on machines without /etc/services (slim images). */
const ownEntries: readonly ServiceEntry[] = Object.entries({
  echo: 7,
  discard: 9,
  systat: 11,
  daytime: 13,
  qotd: 17,
  chargen: 19,
  time: 37,
}).flatMap(([name, port]) => (['tcp', 'udp'] as const).map((protocol) => ({ name, protocol, port, aliases: [] })));

/** The entries of a services(5) file, our own after them; lines that make no sense are passed over. */
export function parseServiceEntries(text: string): readonly ServiceEntry[] {
  const entries = parseDatabase(text).flatMap(([name, target = '', ...aliases]): ServiceEntry[] => {
    const match = /^(\d{1,5})\/(tcp|udp)$/.exec(target);
    if (match === null || Number(match[1]) > 65_535) return [];
    return [{ name, protocol: match[2] === 'udp' ? 'udp' : 'tcp', port: Number(match[1]), aliases }];
  });
  return [...entries, ...ownEntries];
}

/** Reads the text of a services(5) file; the first entry for a name wins. */
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

/** A lookup over a file that is read at the first question. A file that is missing or unreadable is an empty one. */
export function servicePortsOf(file: string): ServicePortLookup {
  let lookup: ServicePortLookup | undefined;
  return (name, protocol) => {
    lookup ??= parseServicesFile(readDatabase(file));
    return lookup(name, protocol);
  };
}

/** The port of a service by its name or alias in /etc/services; our own seven are known without that file. */
export const lookupServicePort: ServicePortLookup = servicePortsOf('/etc/services');
