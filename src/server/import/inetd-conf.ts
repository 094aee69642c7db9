import type { ServicePortLookup } from '../../address/service-ports.ts';
import { isInetdEntry } from './format.ts';
import type { InetdDialect } from './inetd-dialect.ts';
import {
  fieldsOf,
  type Imported,
  type ImportedService,
  type ImportedSettings,
  importError,
  isInternalService,
  listenText,
  type Note,
  ownService,
  quote,
  trimLine,
  type Wrappers,
  wrapped,
} from './imported.ts';

type Family = '' | '4' | '6';

type Families = ReadonlyMap<string, Family>;

function familiesOf(families: Readonly<Record<string, Family>>): Families {
  return new Map(Object.entries(families));
}

/** The families that the ends of `tcp` and `udp` stand for; '' is both. */
const familiesByDialect: Readonly<Record<InetdDialect, Families>> = {
  gnu: familiesOf({ '': '4', '4': '4', '6': '', '6only': '6' }),
  freebsd: familiesOf({ '': '4', '4': '4', '6': '6', '46': '' }),
  openbsd: familiesOf({ '': '', '4': '4', '6': '6', '46': '' }),
};

/** Those that every inetd serves, if it knows the end at all. */
const commonFamilies = familiesOf({ '': '4', '4': '4', '6': '6', '6only': '6', '46': '' });

/** Of one entry, and of all of them: each must be compared with the others. */
const maxHosts = 100;
const maxAddresses = 2000;

/** The mark of update-inetd(8) on an entry that it disabled. */
const disabledMark = '#<off>#';

/** An entry, which may continue on indented lines. */
interface Entry {
  readonly where: string;
  readonly fields: string[];
  /** Whether a line `#@ policy` above it, for IPsec, restricts who is served. */
  readonly hasPolicy: boolean;
}

/** What decides how an entry is read. */
interface Context {
  readonly dialect: InetdDialect | undefined;
  readonly lookup: ServicePortLookup;
  /** Whether TCP wrappers restrict internal services, which those of FreeBSD alone may do. */
  readonly isWrapped: boolean;
  /** Addresses that a line like `127.0.0.1:` gave to the entries below it. */
  hosts: readonly string[];
  /** The first entry whose families depend on the dialect. */
  ambiguous: string | undefined;
}

/**
 * Reads inetd.conf(5), in the forms of BSD and GNU. Nothing in it is an error: what cannot be imported becomes a note.
 * `file` is its name in messages.
 */
export function parseInetdConf(
  text: string,
  file: string,
  dialect: InetdDialect | undefined,
  lookup: ServicePortLookup,
  wrappers: Wrappers,
): Imported {
  const services: ImportedService[] = [];
  const notes: Note[] = [];
  let addresses = 0;
  const isWrapped = wrappers.refuseClients && (dialect === undefined || dialect === 'freebsd');
  const context: Context = { dialect, lookup, isWrapped, hosts: [''], ambiguous: undefined };
  for (const entry of entriesOf(text, file, dialect, notes)) {
    const read = readEntry(entry, context);
    if (read === undefined) continue;
    if ('type' in read) {
      services.push(read);
      addresses += read.listen.length;
      if (addresses > maxAddresses) throw importError(read.where, `expected at most ${maxAddresses} addresses in all`);
    } else notes.push(read);
  }
  if (context.ambiguous !== undefined)
    notes.unshift({
      where: context.ambiguous,
      message:
        'inetds disagree on the address families of tcp, tcp6, udp and udp6: only those that each of them serves are imported. --dialect gnu, freebsd or openbsd imports what that one serves',
    });
  return { services, notes };
}

function entriesOf(text: string, file: string, dialect: InetdDialect | undefined, notes: Note[]): readonly Entry[] {
  const entries: Entry[] = [];
  let continued: Entry | undefined;
  let hasPolicy = false;
  for (const [index, line] of text.split('\n').entries()) {
    const where = `${file}:${index + 1}`;
    const content = trimLine(line);
    const isIndented = /^[ \t]/.test(line);
    if (content.startsWith('#') || content === '') {
      if (!isIndented) continued = undefined;
      if (content.startsWith('#@')) hasPolicy = content !== '#@';
      if (content.startsWith(disabledMark)) noteDisabled(content.slice(disabledMark.length), where, notes);
      continue;
    }
    const fields = fieldsOf(content);
    if (isIndented && continued !== undefined && dialect !== 'gnu') {
      continued.fields.push(...fields);
      if (isInetdEntry(fields))
        notes.push({
          where,
          message: 'this line is indented, so it continues the entry above it, except in GNU inetd',
        });
      continue;
    }
    continued = { where, fields, hasPolicy };
    entries.push(continued);
  }
  return entries;
}

function noteDisabled(entry: string, where: string, notes: Note[]): void {
  const fields = fieldsOf(entry);
  if (isInetdEntry(fields)) notes.push({ where, message: `${labelOf(fields)} is disabled` });
}

/** Returns the service, or why there is none. Undefined for a line that only sets addresses. */
function readEntry({ where, fields, hasPolicy }: Entry, context: Context): ImportedService | Note | undefined {
  const [named = '', socketType = '', protocol = '', wait = '', , server = ''] = fields;
  const skip = (message: string): Note => ({ where, message });
  if (fields.length === 1 && /^[^/]+:$/.test(named)) {
    context.hosts = hostsOf(named.slice(0, -1), where);
    return undefined;
  }
  const label = labelOf(fields);
  if (fields.length < 6) return skip(`${label}: expected at least six fields, found ${fields.length}`);
  if (protocol.startsWith('rpc/')) return skip(`${label} is an RPC service`);
  if (named.startsWith('tcpmux/')) return skip(`${label} is a program started by tcpmux`);
  if (server !== 'internal') return skip(`${label} runs a program, ${quote(server)}${ownService(nameOf(named))}`);
  const [, transport, ending = ''] = /^(tcp|udp)(\w*)(?:,|$)/.exec(protocol) ?? [];
  const families = context.dialect === undefined ? commonFamilies : familiesByDialect[context.dialect];
  const family = families.get(ending);
  if ((transport !== 'tcp' && transport !== 'udp') || family === undefined)
    return skip(`${label}: unknown protocol ${quote(protocol)}`);
  if (socketType !== (transport === 'tcp' ? 'stream' : 'dgram'))
    return skip(`${label}: ${quote(protocol)} has no sockets of type ${quote(socketType)}`);
  const name = nameOf(named);
  if (/^\d+$/.test(name))
    return skip(`${label} is not served: inetds know their internal services by name, not by port`);
  if (!isInternalService(name)) return skip(`${label} is an internal service that is not imported${ownService(name)}`);
  const limits = readWait(wait);
  if (limits === undefined) return skip(`${label}: expected wait or nowait, found ${quote(wait)}`);
  if (context.isWrapped) return skip(`${label} ${wrapped}`);
  if (hasPolicy) return skip(`${label} is served under an IPsec policy`);
  const port = context.lookup(name, transport);
  if (port === undefined) return skip(`${label}: no such service in /etc/services`);

  if (context.dialect === undefined && (ending === '' || ending === '6')) context.ambiguous ??= where;
  const hosts = named.includes(':') ? hostsOf(named.slice(0, named.lastIndexOf(':')), where) : context.hosts;
  const notes = [limits.note, bufferNote(protocol)].flatMap((message) =>
    message === undefined ? [] : [skip(message)],
  );
  return {
    where,
    id: `${name}-${transport}`,
    type: name,
    listen: hosts.map((host) => listenText(transport, familyFor(host, family, ending, context), host, port)),
    settings: { ...(name === 'daytime' && { format: 'ctime' }), ...limits.settings },
    notes,
  };
}

/** An IPv6 address that is named is served over IPv6, where `tcp` alone would mean IPv4, except by GNU inetd. */
function familyFor(host: string, family: Family, ending: string, { dialect }: Context): Family {
  return host.includes(':') && ending === '' && dialect !== 'gnu' ? '' : family;
}

/** `address`, `[address]` or `address,address`. Returns them without brackets; an empty one is every interface. */
function hostsOf(list: string, where: string): readonly string[] {
  const hosts = list.split(',', maxHosts + 1);
  if (hosts.length > maxHosts) throw importError(where, `expected at most ${maxHosts} addresses`);
  // A missing address must not become every interface.
  return hosts.map((host) => (host === '*' ? '' : host.replace(/^\[(.*)\]$/, '$1') || '?'));
}

function nameOf(named: string): string {
  return named.slice(named.lastIndexOf(':') + 1);
}

function labelOf([named = '', , protocol = '']: readonly string[]): string {
  return `${quote(named)}${protocol === '' ? '' : ` (${quote(protocol).slice(1, -1)})`}`;
}

/**
 * Reads `nowait`, `wait.40` (invocations a minute, in BSD and GNU) or `nowait/10/60/5` (of FreeBSD: servers at once,
 * connections a minute from one address, servers at once for one address; 0 is no limit).
 */
function readWait(wait: string): { settings: ImportedSettings; note: string | undefined } | undefined {
  const match = /^(?:no)?wait(\.\d{1,9})?(?:\/(\d{1,9}))?(?:\/(\d{1,9}))?(?:\/(\d{1,9}))?$/.exec(wait);
  if (match === null) return undefined;
  const [, perMinute, servers = '0', perMinuteAndSource = '0', perSource = '0'] = match;
  const isRateLimited = perMinute !== undefined || Number(perMinuteAndSource) > 0;
  const settings = {
    ...(Number(servers) > 0 && { maxConnections: Number(servers) }),
    ...(Number(perSource) > 0 && { maxConnectionsPerSource: Number(perSource), exempt: [] }),
  };
  const note = `${quote(wait)}: smallservd has no limit for a minute; see connectionRate and datagramServiceRate`;
  return { settings, note: isRateLimited ? note : undefined };
}

function bufferNote(protocol: string): string | undefined {
  return protocol.includes(',') ? `${quote(protocol)}: buffer sizes are not imported; see receiveBuffer` : undefined;
}
