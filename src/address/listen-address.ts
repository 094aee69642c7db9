import { posix } from 'node:path';
import { suggest } from '../suggestion.ts';
import { isAccount } from './account.ts';
import { isBroadcast, isIpv4, isLinkLocal, isMulticast, parseIp } from './ip-address.ts';
import type { ServicePortLookup } from './service-ports.ts';

/** A parsed listen address. `text` is the original from the config. */
export type ListenAddress = NetworkListenAddress | UnixListenAddress | FdListenAddress | SystemdListenAddress;

export interface NetworkListenAddress {
  readonly scheme: 'tcp' | 'udp';
  readonly family: 'both' | 'ipv4' | 'ipv6';
  /** A host name, or a literal without brackets. Empty for all interfaces. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly text: string;
}

export interface UnixListenAddress {
  readonly scheme: 'unix';
  /** Absolute and percent-decoded. */
  readonly path: string;
  /** Permission bits, owner and group of the socket file. Null owner or group: those of the serving user. */
  readonly mode: number;
  readonly owner: string | null;
  readonly group: string | null;
  readonly text: string;
}

/** An inherited descriptor, by number. */
interface FdListenAddress {
  readonly scheme: 'fd';
  readonly fd: number;
  readonly text: string;
}

/** An inherited descriptor by its LISTEN_FDNAMES name (sd_listen_fds_with_names(3)). A name may stand for several. */
interface SystemdListenAddress {
  readonly scheme: 'systemd';
  readonly name: string;
  readonly text: string;
}

const grammar =
  'tcp://host:port, udp://host:port (tcp4, tcp6, udp4, udp6 for one family), unix:///path, fd://3 or systemd:NAME';
const maxUnixPathBytes = 107;
const defaultSocketMode = 0o660;
const maxTextLength = 400;
const familyOf = { '': 'both', '4': 'ipv4', '6': 'ipv6' } as const;

/**
 * Parses a listen address: `tcp://host:port`, `udp://host:port` (`tcp4`, `tcp6`, `udp4`, `udp6` for one family),
 * `unix:///path?mode=0660&owner=USER&group=GROUP`, `fd://3` or `systemd:NAME`. An empty host or `*` means all
 * interfaces, IPv6 addresses are in brackets, port 0 lets the system choose, and a port may be a service name. The
 * parameters of a UNIX socket are optional, and its path is percent-encoded. Throws an Error that says what is wrong
 * and what is expected.
 */
export function parseListenAddress(text: string, lookup: ServicePortLookup): ListenAddress {
  if (text.length > maxTextLength) throw new Error(`a listen address has at most ${maxTextLength} characters`);
  const network = /^(tcp|udp)([46]?):\/\/(.*)$/s.exec(text);
  if (network !== null) {
    const scheme = network[1] === 'udp' ? 'udp' : 'tcp';
    const family = familyOf[network[2] as keyof typeof familyOf];
    return parseNetwork(text, scheme, family, network[3] ?? '', lookup);
  }
  if (text.startsWith('unix:')) return parseUnix(text);
  if (text.startsWith('fd:')) return parseFd(text);
  if (text.startsWith('systemd:')) return parseSystemd(text);
  throw fault(text, `is not a listen address: expected ${grammar}`);
}

function parseNetwork(
  text: string,
  scheme: 'tcp' | 'udp',
  family: NetworkListenAddress['family'],
  rest: string,
  lookup: ServicePortLookup,
): NetworkListenAddress {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:[\]/]+)$/.exec(rest);
  if (match === null) throw fault(text, explainShape(rest));
  const [, bracketed, plain = '', portText = ''] = match;
  const port = parsePort(text, portText, scheme, lookup);
  if (bracketed !== undefined) return { scheme, family, host: ipv6Literal(text, family, bracketed), port, text };
  const host = plain === '*' ? '' : plain;
  if (/^[0-9.]+$/.test(host)) checkIpv4Literal(text, family, host);
  else if (host !== '') checkName(text, host);
  return { scheme, family, host, port, text };
}

function explainShape(rest: string): string {
  if (/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:/.test(rest)) {
    return 'is not a listen address: put an IPv6 address in brackets, as in tcp://[::1]:1201';
  }
  if (/^(\[[^\]]*\]|[^:[\]/]*):?$/.test(rest)) return 'has no port: expected one as in tcp://localhost:1201';
  return 'is not a listen address: expected host:port after the scheme, as in tcp://localhost:1201';
}

function parsePort(text: string, portText: string, scheme: 'tcp' | 'udp', lookup: ServicePortLookup): number {
  if (/^[0-9]+$/.test(portText)) {
    const port = Number(portText);
    if (port > 65_535) throw fault(text, `has port ${quote(portText)}: expected 0 to 65535`);
    return port;
  }
  const port = lookup(portText, scheme);
  if (port === undefined)
    throw fault(text, `has port ${quote(portText)}: expected 0 to 65535, or a service in /etc/services for ${scheme}`);
  return port;
}

/** Nothing that many machines receive at once is ever answered. */
const manyMachines = 'has a multicast or broadcast address: expected an address of this machine, or * for all';

function ipv6Literal(text: string, family: NetworkListenAddress['family'], bracketed: string): string {
  const [literal = '', ...zones] = bracketed.split('%');
  const ip = literal.includes(':') ? parseIp(literal) : undefined;
  if (ip === undefined) throw fault(text, 'is not a listen address: expected IPv6 in brackets');
  if (isIpv4(ip)) throw fault(text, 'has an IPv4 address in IPv6 form: write it as IPv4, without brackets');
  if (zones.length > 0 && !isLinkLocal(ip))
    throw fault(text, 'has a zone, which only a link-local address may have, as in [fe80::1%eth0]');
  if (zones.length > 0 && !/^[\w.-]{1,15}$/.test(zones.join('%')))
    throw fault(text, 'has an invalid zone: expected the name of an interface, as in [fe80::1%eth0]');
  if (zones.length === 0 && isLinkLocal(ip))
    throw fault(text, 'has a link-local address without a zone: expected its interface, too, as in [fe80::1%eth0]');
  if (isMulticast(ip)) throw fault(text, manyMachines);
  if (family === 'ipv4') throw fault(text, 'is for IPv4 but has an IPv6 address');
  return bracketed;
}

function checkIpv4Literal(text: string, family: NetworkListenAddress['family'], host: string): void {
  const ip = parseIp(host);
  if (ip === undefined) throw fault(text, `has host ${quote(host)}: expected an IPv4 address such as 127.0.0.1`);
  if (isMulticast(ip) || isBroadcast(ip)) throw fault(text, manyMachines);
  if (family === 'ipv6') throw fault(text, 'is for IPv6 but has an IPv4 address');
}

function checkName(text: string, host: string): void {
  const isName = host.length <= 253 && /^(?!-)[\w-]{1,63}(\.(?!-)[\w-]{1,63})*\.?$/.test(host);
  if (!isName) throw fault(text, `has host ${quote(host)}: expected a name, an address, or * for all`);
}

function parseUnix(text: string): UnixListenAddress {
  const [, encoded = '', query] = /^unix:\/\/([^?]*)(?:\?(.*))?$/s.exec(text) ?? [];
  const path = decodePath(text, encoded);
  if (!/^\/.*[^/]$/s.test(path) || path.includes('\0')) {
    throw fault(text, 'is not a listen address: expected an absolute path, as in unix:///run/echo.sock');
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > maxUnixPathBytes) throw fault(text, `has a path of ${bytes} bytes: expected at most ${maxUnixPathBytes}`);
  const { mode, owner = null, group = null } = query === undefined ? {} : parseParameters(text, query);
  return {
    scheme: 'unix',
    path: posix.normalize(path),
    mode: mode === undefined ? defaultSocketMode : Number.parseInt(mode, 8),
    owner,
    group,
    text,
  };
}

function decodePath(text: string, encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw fault(text, 'has a % that is not part of an escape: expected %25 for a % in the path');
  }
}

const account = { isRight: isAccount, expected: 'a name such as www-data, or a number' };
const parameters = {
  mode: {
    isRight: (value: string) => /^0?[0-7]{1,3}$/.test(value),
    expected: 'an octal number from 0 to 0777, such as 0660',
  },
  owner: account,
  group: account,
};
type Parameter = keyof typeof parameters;

/** Parses and validates the parameters after the `?`. */
function parseParameters(text: string, query: string): { readonly [Name in Parameter]?: string } {
  const found: { [Name in Parameter]?: string } = {};
  for (const part of query.split('&')) {
    const [name = '', ...rest] = part.split('=');
    const value = rest.join('=');
    if (!isParameter(name)) {
      const expected = 'expected mode, owner or group, and %3F for a ? in the path';
      throw fault(text, `has parameter ${quote(name)}: ${expected}${suggest(name, Object.keys(parameters))}`);
    }
    if (found[name] !== undefined) throw fault(text, `has ${name} twice`);
    const { isRight, expected } = parameters[name];
    if (!isRight(value)) throw fault(text, `has ${name} ${quote(value)}: expected ${expected}`);
    found[name] = value;
  }
  return found;
}

function isParameter(name: string): name is Parameter {
  return Object.hasOwn(parameters, name);
}

/** A passed socket already has its file. */
function refuseParameters(text: string): void {
  if (text.includes('?'))
    throw fault(
      text,
      'has parameters: the mode and owner of an inherited socket are set where it is created (SocketMode=, SocketUser=)',
    );
}

function parseFd(text: string): FdListenAddress {
  refuseParameters(text);
  const match = /^fd:\/\/([0-9]{1,7})$/.exec(text);
  const fd = Number(match?.[1] ?? Number.NaN);
  if (!(fd >= 3)) throw fault(text, 'is not a listen address: expected 3 or higher, as in fd://3');
  return { scheme: 'fd', fd, text };
}

function parseSystemd(text: string): SystemdListenAddress {
  refuseParameters(text);
  // FileDescriptorName= is printable ASCII without a colon, at most 255 characters, see systemd.socket(5).
  const name = /^systemd:([!-9;-~]{1,255})$/.exec(text)?.[1];
  if (name === undefined)
    throw fault(text, 'is not a listen address: expected a FileDescriptorName=, as in systemd:echo.socket');
  return { scheme: 'systemd', name, text };
}

/** `what` continues the address. */
function fault(text: string, what: string): Error {
  return new Error(`${quote(text)} ${what}`);
}

/** Quotes as JSON, which escapes control characters, and truncates long text. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
