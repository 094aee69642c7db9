import { readFileSync } from 'node:fs';

/** Looks up the port that a service's name stands for, as getservbyname(3) does. */
export type ServicePortLookup = (name: string, protocol: 'tcp' | 'udp') => number | undefined;

/** What the daemon serves is known on machines without /etc/services (slim images). */
const ownPorts: ReadonlyMap<string, number> = new Map([
  ['echo', 7],
  ['discard', 9],
  ['systat', 11],
  ['daytime', 13],
  ['qotd', 17],
  ['chargen', 19],
  ['time', 37],
]);

/** Reads the text of a services(5) file; the first entry for a name wins, lines that make no sense are passed over. */
export function parseServicesFile(text: string): ServicePortLookup {
  const ports = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name, target, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const match = /^(\d{1,5})\/(tcp|udp)$/.exec(target ?? '');
    if (name === undefined || match === null || Number(match[1]) > 65_535) continue;
    for (const each of [name, ...aliases]) {
      const key = `${each}/${match[2]}`;
      if (!ports.has(key)) ports.set(key, Number(match[1]));
    }
  }
  return (name, protocol) => ports.get(`${name}/${protocol}`) ?? ownPorts.get(name);
}

/** A lookup over a file that is read at the first question. A file that is missing or unreadable is an empty one. */
export function servicePortsOf(file: string): ServicePortLookup {
  let lookup: ServicePortLookup | undefined;
  return (name, protocol) => {
    lookup ??= parseServicesFile(textOf(file));
    return lookup(name, protocol);
  };
}

/** The port of a service by its name or alias in /etc/services; our own seven are known without that file. */
export const lookupServicePort: ServicePortLookup = servicePortsOf('/etc/services');

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
