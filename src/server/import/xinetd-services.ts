import type { ServicePortLookup } from '../../address/service-ports.ts';
import { parseIp } from '../../address/ip-address.ts';
import { isLocalhost, wildcard } from '../../address/own-address.ts';
import {
  type Imported,
  type ImportedService,
  type ImportedSettings,
  importError,
  isInternalService,
  listenText,
  type Note,
  ownService,
  quote,
  type Wrappers,
  wrapped,
} from './imported.ts';
import type { Attribute, DefaultsSection, ServiceSection } from './xinetd-conf.ts';
import { type ImportedAddress, readXinetdAddress } from './xinetd-addresses.ts';

/** A section, and which reading of a file it comes from: xinetd takes one `defaults` from each. */
export type PlacedSection = (ServiceSection | DefaultsSection) & { readonly reading: number };

/** Lists that the operators change. Undefined: never set, which is not the same as empty. */
interface AccessLists {
  readonly only_from: readonly ImportedAddress[] | undefined;
  readonly no_access: readonly ImportedAddress[] | undefined;
}

/** In a list. A longer one would be copied into each service. */
const maxAddresses = 1000;

const noLists: AccessLists = { only_from: undefined, no_access: undefined };

/** Attributes with one value that a section can set once. */
type Single = ReadonlyMap<string, Attribute>;

/** Attributes of services, with the number of their values; undefined is any number. */
const singles: Readonly<Record<string, number | undefined>> = {
  access_times: undefined,
  bind: 1,
  cps: 2,
  disable: 1,
  flags: undefined,
  group: 1,
  groups: 1,
  id: 1,
  instances: 1,
  max_load: 1,
  per_source: 1,
  port: 1,
  protocol: 1,
  redirect: 2,
  server: 1,
  socket_type: 1,
  type: undefined,
  user: 1,
  v6only: 1,
  wait: 1,
};

/** What services inherit from `defaults`, wherever that is. Lists are inherited from a `defaults` above. */
const inherited = ['bind', 'cps', 'instances', 'max_load', 'per_source', 'v6only'] as const;

/** Attributes that do nothing for an internal service, or that say nothing about whom it serves. */
const withoutEffect = new Set(['user', 'group', 'groups', 'wait', 'libwrap', 'mdns', 'deny_time']);

/** What is dropped without changing whom a service serves, and what to say about it. */
const dropped: ReadonlyMap<string, string> = new Map(
  Object.entries({
    banner: 'banners are not imported',
    banner_success: 'banners are not imported',
    banner_fail: 'banners are not imported',
    log_type: 'smallservd has its own log; see log.file',
    log_on_success: 'smallservd has its own log; see log.connections',
    log_on_failure: 'smallservd has its own log; see log.connections',
    max_load: 'smallservd does not look at the load of the machine',
  }),
);

const knownTypes = new Set(['INTERNAL', 'UNLISTED', 'RPC', 'TCPMUX', 'TCPMUXPLUS']);

/** What else there is makes xinetd refuse clients that we would serve, or refuse the entry. */
const harmlessFlags = new Set(['INTERCEPT', 'NORETRY', 'NODELAY', 'KEEPALIVE', 'NOLIBWRAP', 'REUSE', 'IPv4', 'IPv6']);

/** Why xinetd, or we, do not serve an entry. Caught where entries are read. */
class Unserved extends Error {}

/**
 * Reads the sections of a xinetd.conf(5) and its includes, as xinetd 2.3.15 does. An entry whose restrictions cannot be
 * expressed becomes a note, never a service. Throws `IMPORT_INVALID` for a list in `defaults` that xinetd refuses, too.
 */
export function importXinetdSections(
  sections: readonly PlacedSection[],
  lookup: ServicePortLookup,
  wrappers: Wrappers,
): Imported {
  const notes: Note[] = [];
  const defaults = readDefaults(sections, notes);
  const services: ImportedService[] = [];
  let lists = noLists;
  const readings = new Set<number>();
  for (const section of sections) {
    if (section.kind === 'defaults') {
      if (!readings.has(section.reading)) lists = applyLists(lists, section.attributes, true);
      readings.add(section.reading);
      continue;
    }
    try {
      services.push(new EntryReader(section, defaults, lists, lookup, wrappers).read());
    } catch (error) {
      if (!(error instanceof Unserved)) throw error;
      notes.push({ where: section.where, message: `${labelOf(section)} ${error.message}` });
    }
  }
  return { services, notes };
}

interface Defaults {
  readonly singles: Single;
  readonly enabled: ReadonlySet<string> | undefined;
  readonly disabled: ReadonlySet<string>;
}

function readDefaults(sections: readonly PlacedSection[], notes: Note[]): Defaults {
  const values = new Map<string, Attribute>();
  const disabled = new Set<string>();
  let enabled: Set<string> | undefined;
  const readings = new Set<number>();
  for (const section of sections) {
    if (section.kind !== 'defaults') continue;
    if (readings.has(section.reading))
      notes.push({ where: section.where, message: 'xinetd ignores all defaults of a file but the first' });
    else
      for (const attribute of section.attributes) {
        const name = canonical(attribute.name);
        if (name === 'enabled') enabled = new Set([...(enabled ?? []), ...attribute.values]);
        else if (name === 'disabled') for (const id of attribute.values) disabled.add(id);
        else if (isInherited(name)) {
          const fault = faultOf(attribute, values.has(name));
          if (fault !== undefined) throw importError(attribute.where, `defaults: ${fault}`);
          values.set(name, attribute);
        }
        if (!isInherited(name) && !isList(name) && name !== 'enabled' && name !== 'disabled')
          notes.push({ where: attribute.where, message: droppedMessage(attribute) });
      }
    readings.add(section.reading);
  }
  return { singles: values, enabled, disabled };
}

function isInherited(name: string): boolean {
  return (inherited as readonly string[]).includes(name);
}

function isList(name: string): name is keyof AccessLists {
  return name === 'only_from' || name === 'no_access';
}

function canonical(name: string): string {
  return name === 'interface' ? 'bind' : name;
}

function droppedMessage({ name, operator, values }: Attribute): string {
  const reason = dropped.get(name) ?? `smallservd has no equivalent of ${quote(name)}`;
  return `${quote([name, operator, ...values].join(' ')).slice(1, -1)}: ${reason}`;
}

/** Returns what is wrong with the form of an attribute. xinetd ignores such a line, or disables the service. */
function faultOf({ name, operator, values }: Attribute, isRepeated: boolean): string | undefined {
  const count = singles[canonical(name)];
  if (operator !== '=') return `${name} cannot have the operator ${operator}`;
  if (isRepeated) return `${name} is set twice`;
  if (count === undefined ? values.length === 0 : values.length !== count)
    return `${name} has ${values.length} values: expected ${count ?? 'at least 1'}`;
  return undefined;
}

/** In `defaults`, `=` means `+=`. */
function applyLists(lists: AccessLists, attributes: readonly Attribute[], isDefaults: boolean): AccessLists {
  let result = lists;
  for (const { name, operator, values, where } of attributes) {
    if (!isList(name)) continue;
    const comma = values.find((value) => value.includes(',') && !value.includes('{'));
    if (comma !== undefined) {
      const fault = `${name}: ${quote(comma)} has a comma: expected spaces between addresses`;
      throw isDefaults ? importError(where, `defaults: ${fault}`) : new Unserved(`is not served: ${fault}`);
    }
    if (values.length + (result[name]?.length ?? 0) > maxAddresses)
      throw importError(where, `${name} has more than ${maxAddresses} addresses`);
    const before = operator === '=' && !isDefaults ? [] : (result[name] ?? []);
    const given = values.map(readXinetdAddress);
    const changed =
      operator === '-='
        ? before.filter((address) => !given.some((removed) => isSame(address, removed)))
        : [...before, ...given];
    result = { ...result, [name]: changed };
  }
  return result;
}

function isSame(one: ImportedAddress, other: ImportedAddress): boolean {
  if (one.allow === undefined || other.allow === undefined) return one.text === other.text;
  return one.allow.join() === other.allow.join();
}

function labelOf({ name, attributes }: ServiceSection): string {
  const id = attributes.find((attribute) => attribute.name === 'id')?.values[0];
  return id === undefined || id === name ? quote(name) : `${quote(name)} (id ${quote(id)})`;
}

/** Reads one entry. */
class EntryReader {
  readonly #section: ServiceSection;
  readonly #defaults: Defaults;
  readonly #lists: AccessLists;
  readonly #lookup: ServicePortLookup;
  readonly #wrappers: Wrappers;
  readonly #values = new Map<string, Attribute>();
  readonly #notes: Note[] = [];

  constructor(
    section: ServiceSection,
    defaults: Defaults,
    lists: AccessLists,
    lookup: ServicePortLookup,
    wrappers: Wrappers,
  ) {
    this.#section = section;
    this.#defaults = defaults;
    this.#lists = lists;
    this.#lookup = lookup;
    this.#wrappers = wrappers;
  }

  /** Throws `Unserved`. */
  read(): ImportedService {
    const { where, name, flaw } = this.#section;
    this.#readValues();
    if (flaw !== undefined) throw new Unserved(`is not served: line ${flaw.where.split(':').at(-1)}: ${flaw.message}`);
    const types = new Set(this.#values.get('type')?.values);
    const flags = new Set(this.#values.get('flags')?.values);
    this.#refuseDisabled(flags);
    this.#refuseTypes(types);
    if (!isInternalService(name)) throw new Unserved(`is an internal service that is not imported${ownService(name)}`);
    this.#refuseFlags(flags);
    this.#refuseTimes();
    const transport = this.#transport();
    const listen = this.#listen(transport, types, flags);
    const settings = { ...(name === 'daytime' && { format: 'smtp' }), ...this.#access(), ...this.#limits() };
    if (name === 'daytime') this.#note(where, 'daytime: xinetd writes the year with four digits, smallservd with two');
    return { where, id: this.#id(), type: name, listen, settings, notes: this.#notes };
  }

  #note(where: string, message: string): void {
    this.#notes.push({ where, message });
  }

  #id(): string {
    return this.#values.get('id')?.values[0] ?? this.#section.name;
  }

  /** A value of this entry, or of `defaults`. */
  #value(name: string): Attribute | undefined {
    return this.#values.get(name) ?? this.#defaults.singles.get(name);
  }

  #readValues(): void {
    for (const attribute of this.#section.attributes) {
      const name = canonical(attribute.name);
      if (isList(name)) continue;
      if (!Object.hasOwn(singles, name)) {
        if (!withoutEffect.has(name)) this.#note(attribute.where, droppedMessage(attribute));
        continue;
      }
      const fault = faultOf(attribute, this.#values.has(name));
      if (fault !== undefined) throw new Unserved(`is not imported: ${fault}`);
      this.#values.set(name, attribute);
      // xinetd does not read the rest, so there may be anything.
      if (name === 'disable' && attribute.values[0] === 'yes') throw new Unserved('is disabled');
    }
  }

  #refuseDisabled(flags: ReadonlySet<string>): void {
    const disable = this.#values.get('disable')?.values[0] ?? 'no';
    if (disable !== 'no') throw new Unserved(`is not served: disable is ${quote(disable)}`);
    if (flags.has('DISABLE')) throw new Unserved('is disabled');
    const { enabled, disabled } = this.#defaults;
    if (enabled !== undefined && !enabled.has(this.#id())) throw new Unserved('is not in the list "enabled"');
    if (disabled.has(this.#id())) throw new Unserved('is in the list "disabled"');
  }

  #refuseTypes(types: ReadonlySet<string>): void {
    const { name } = this.#section;
    const unknown = [...types].find((type) => !knownTypes.has(type));
    if (unknown !== undefined) throw new Unserved(`is not served: unknown type ${quote(unknown)}`);
    if (types.has('RPC')) throw new Unserved('is an RPC service');
    if (types.has('TCPMUX') || types.has('TCPMUXPLUS')) throw new Unserved('is a program started by tcpmux');
    if (this.#values.has('redirect')) throw new Unserved('is redirected to another host');
    if (types.has('INTERNAL')) return;
    const server = this.#values.get('server')?.values[0];
    if (server === undefined) throw new Unserved('is not served: it has no server, and its type is not INTERNAL');
    throw new Unserved(`runs a program, ${quote(server)}${ownService(name)}`);
  }

  #refuseFlags(flags: ReadonlySet<string>): void {
    const other = [...flags].find((flag) => !harmlessFlags.has(flag));
    if (other === 'SENSOR') throw new Unserved('is a sensor, not a service');
    if (other === 'IDONLY') throw new Unserved('serves only users that an ident server names (IDONLY)');
    if (other !== undefined) throw new Unserved(`is not served: flag ${quote(other)} of an internal service`);
    if (this.#wrappers.refuseClients && !flags.has('NOLIBWRAP')) throw new Unserved(wrapped);
  }

  #refuseTimes(): void {
    if (this.#values.has('access_times')) throw new Unserved('is served at certain times only (access_times)');
    const load = this.#value('max_load');
    if (load !== undefined) this.#note(load.where, droppedMessage(load));
  }

  #transport(): 'tcp' | 'udp' {
    const socketType = this.#values.get('socket_type')?.values[0];
    const protocol = this.#values.get('protocol')?.values[0];
    const wait = this.#values.get('wait')?.values[0];
    if (wait !== 'yes' && wait !== 'no')
      throw new Unserved(`is not served: ${wait === undefined ? 'wait is missing' : `wait is ${quote(wait)}`}`);
    if ((socketType ?? 'stream') === 'stream' && (protocol ?? 'tcp') === 'tcp') {
      if (socketType !== undefined || protocol !== undefined) return 'tcp';
      throw new Unserved('is not served: socket_type is missing');
    }
    if ((socketType ?? 'dgram') === 'dgram' && (protocol ?? 'udp') === 'udp') return 'udp';
    throw new Unserved(
      `is not served: socket_type ${quote(socketType ?? '')} with protocol ${quote(protocol ?? '')} is neither TCP nor UDP`,
    );
  }

  #listen(transport: 'tcp' | 'udp', types: ReadonlySet<string>, flags: ReadonlySet<string>): readonly string[] {
    const port = this.#port(transport, types.has('UNLISTED'));
    const bind = this.#value('bind')?.values[0];
    // With both flags, xinetd opens an IPv6 socket, which serves both families unless v6only is in the entry, whatever
    // its value.
    const isIpv4 = flags.has('IPv4') && !flags.has('IPv6');
    const isIpv6Only = this.#values.has('v6only') || this.#value('v6only')?.values[0] === 'yes';
    const family = isIpv4 ? '4' : isIpv6Only ? '6' : '';
    if (bind === undefined || bind === wildcard.ipv6) {
      if (bind !== undefined && isIpv4) throw new Unserved('is not served: bind is an IPv6 address, with flag IPv4');
      return [listenText(transport, family, '', port)];
    }
    if (isLocalhost(bind)) return [listenText(transport, family, 'localhost', port)];
    if (parseIp(bind) === undefined)
      throw new Unserved(
        `listens on ${quote(bind)}, of which xinetd takes one address, and smallservd all: write the address`,
      );
    const isBoundIpv6 = bind.includes(':');
    if (isBoundIpv6 ? isIpv4 : flags.has('IPv6'))
      throw new Unserved(`is not served: bind ${quote(bind)} does not fit the flags`);
    if (bind === wildcard.ipv4) return [listenText(transport, '4', '', port)];
    return [listenText(transport, '', bind, port)];
  }

  #port(transport: 'tcp' | 'udp', isUnlisted: boolean): number {
    const { name } = this.#section;
    const text = this.#values.get('port')?.values[0];
    const given = text === undefined ? undefined : wholeNumber(text, 65_535);
    if (text !== undefined && (given === undefined || given === 0))
      throw new Unserved(`is not served: port is ${quote(text)}: expected 1 to 65535`);
    const listed = this.#lookup(name, transport);
    if (isUnlisted) {
      if (given === undefined) throw new Unserved('is not served: it is UNLISTED and has no port');
      return given;
    }
    if (listed === undefined) throw new Unserved('is not served: it is not in /etc/services');
    if (given !== undefined && given !== listed)
      throw new Unserved(
        `is not served: port is ${given}, but ${listed} in /etc/services: expected type UNLISTED, too`,
      );
    return listed;
  }

  #access(): Pick<ImportedSettings, 'allow' | 'deny'> {
    const { only_from: onlyFrom, no_access: noAccess } = applyLists(this.#lists, this.#section.attributes, false);
    const denied = noAccess?.find(({ deny }) => deny === undefined);
    if (denied !== undefined)
      throw new Unserved(
        `refuses ${quote(denied.text)} (no_access), which is not an address or network for smallservd`,
      );
    const deny = [...new Set(noAccess?.flatMap((address) => address.deny ?? []))];
    const allow = [...new Set(onlyFrom?.flatMap((address) => address.allow ?? []))];
    const unknown = onlyFrom?.filter((address) => address.allow === undefined) ?? [];
    if (onlyFrom !== undefined && allow.length === 0)
      throw new Unserved(
        unknown.length === 0
          ? 'serves nobody: only_from is empty'
          : `serves only ${quoteAll(unknown)} (only_from), which is not an address or network for smallservd`,
      );
    if (unknown.length > 0)
      this.#note(
        this.#section.where,
        `only_from: ${quoteAll(unknown)}: not an address or network for smallservd, so not served`,
      );
    return { ...(allow.length > 0 && { allow }), ...(deny.length > 0 && { deny }) };
  }

  #limits(): ImportedSettings {
    const instances = this.#limit('instances');
    const perSource = this.#limit('per_source');
    const cps = this.#value('cps');
    const rate = cps === undefined ? 0 : this.#rate(cps);
    const limits = {
      ...(instances !== undefined && { maxConnections: instances }),
      ...(perSource !== undefined && { maxConnectionsPerSource: perSource }),
      ...(rate > 0 && {
        connectionRate: { perSecond: rate, burst: rate },
        datagramServiceRate: { perSecond: rate, burst: rate },
      }),
    };
    // By default, clients of this machine are exempt from all of these but maxConnections.
    return { ...limits, ...((perSource !== undefined || rate > 0) && { exempt: [] }) };
  }

  #limit(name: 'instances' | 'per_source'): number | undefined {
    const attribute = this.#value(name);
    const text = attribute?.values[0];
    if (attribute === undefined || text === undefined) return undefined;
    if (text === 'UNLIMITED') {
      const key = name === 'instances' ? 'maxConnections' : 'maxConnectionsPerSource';
      this.#note(attribute.where, `${name} = UNLIMITED: smallservd always has a limit; see ${key}`);
      return undefined;
    }
    const limit = wholeNumber(text, 2 ** 31 - 1);
    if (limit === undefined) throw new Unserved(`is not served: ${name} is ${quote(text)}: expected a number`);
    if (limit === 0) throw new Unserved(`serves nobody: ${name} is 0`);
    return limit;
  }

  /** Connections a second; 0 is no limit. */
  #rate({ values, where }: Attribute): number {
    const [rate, pause] = values.map((value) => wholeNumber(value, 2 ** 31 - 1));
    if (rate === undefined || pause === undefined)
      throw new Unserved(`is not served: cps is ${quote(values.join(' '))}: expected two numbers`);
    if (rate > 0)
      this.#note(
        where,
        `cps = ${rate} ${pause}: over TCP, smallservd limits each source to this rate, not all together; it never pauses the service`,
      );
    return rate;
  }
}

function quoteAll(addresses: readonly ImportedAddress[]): string {
  return addresses.map(({ text }) => quote(text)).join(', ');
}

function wholeNumber(text: string, most: number): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}
