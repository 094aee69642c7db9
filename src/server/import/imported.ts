import { SmallservdError } from '../../errors.ts';
import { findService } from '../../services/index.ts';

/** Something that the printed config lacks, and the line of the inetd's config that says it. */
export interface Note {
  /** `file:line`. */
  readonly where: string;
  /** What it is and why it is left out. May contain text of the file, in any characters. */
  readonly message: string;
}

/** What an inetd's config sets for a service, in the words and units of ours. */
export interface ImportedSettings {
  readonly format?: string;
  /** As in our config: addresses and networks. Never an empty list, which would serve everyone. */
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly exempt?: readonly string[];
  readonly maxConnections?: number;
  readonly maxConnectionsPerSource?: number;
  readonly connectionRate?: Rate;
  readonly datagramServiceRate?: Rate;
}

interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** An enabled entry for a service that the inetd serves itself, and we do, too. */
export interface ImportedService {
  /** `file:line` of the entry. */
  readonly where: string;
  /** What the file calls the entry, in any characters. */
  readonly id: string;
  /** The type of our service. */
  readonly type: InternalService;
  /** Listen addresses as in our config, of one transport. Not checked yet. */
  readonly listen: readonly string[];
  readonly settings: ImportedSettings;
  /** What the entry says that is not carried over, though the service is. */
  readonly notes: readonly Note[];
}

/** The content of an inetd's config. */
export interface Imported {
  readonly services: readonly ImportedService[];
  /** What is not imported, in the order of the file. */
  readonly notes: readonly Note[];
}

/** What TCP wrappers, hosts_access(5), do on this machine. */
export interface Wrappers {
  /** Whether their files may refuse a client. */
  readonly refuseClients: boolean;
}

/** Why an entry that they restrict is not imported. */
export const wrapped =
  'is also restricted by /etc/hosts.allow and /etc/hosts.deny, which are not imported; --ignore-wrappers imports it without them';

const internalServices = ['echo', 'discard', 'chargen', 'daytime', 'time'] as const;

export type InternalService = (typeof internalServices)[number];

/** Whether inetds serve this themselves. They know these services by these names only, not by aliases or ports. */
export function isInternalService(name: string): name is InternalService {
  return (internalServices as readonly string[]).includes(name);
}

/** Ends a message about a service that is not imported: whether we have it, configured in our own way. */
export function ownService(name: string): string {
  return findService(name) === undefined ? '' : `; smallservd has its own service ${name}; configure it by hand`;
}

/** Writes a listen address of our config. An empty host is every interface, an IPv6 literal has no brackets. */
export function listenText(transport: 'tcp' | 'udp', family: '' | '4' | '6', host: string, port: number): string {
  const written = host === '' ? '*' : host.includes(':') ? `[${host}]` : host;
  return `${transport}${family}://${written}:${port}`;
}

/** Removes the white space of C around a line. What else Unicode counts as such is text to an inetd. */
export function trimLine(line: string): string {
  return line.replace(/^[ \t\v\f\r]+/, '').replace(/(?<![ \t\v\f\r])[ \t\v\f\r]+$/, '');
}

/** Splits a line at the same white space. */
export function fieldsOf(line: string): string[] {
  return line.split(/[ \t\v\f\r]+/).filter((field) => field !== '');
}

/** An error about a file that cannot be imported at all. */
export function importError(where: string, message: string): SmallservdError {
  return new SmallservdError('IMPORT_INVALID', `${where}: ${message}`);
}

/** Quotes text of a file for a message, and truncates it. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
