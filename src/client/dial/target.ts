import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { isLinkLocalIpv6, parseIp } from '../../address/ip-address.ts';
import { lookupServicePort, type ServicePortLookup } from '../../address/service-ports.ts';
import { SmallservdError } from '../../errors.ts';

/** The peer to talk to, not yet resolved. */
export interface Target {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Parses `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address. The port is a number from 1 or a service from
 * /etc/services for that protocol. Default: the port of `service`. Throws `ARGUMENT_INVALID`.
 */
export function parseTarget(
  text: string,
  protocol: 'tcp' | 'udp',
  service?: string,
  lookupPort: ServicePortLookup = lookupServicePort,
): Target {
  const { host, port } = parseHostAndPort(text);
  if (port !== undefined) return { host, port: parsePort(port, text, protocol, lookupPort) };
  const assigned = service === undefined ? undefined : lookupPort(service, protocol);
  if (assigned !== undefined) return { host, port: assigned };
  throw invalid(text, `has no port: expected ${host.includes(':') ? `[${host}]` : host}:PORT`);
}

/** Parses the same, and leaves the port as text. Throws `ARGUMENT_INVALID`. */
export function parseHostAndPort(text: string): { readonly host: string; readonly port: string | undefined } {
  if (/^[a-z]+:\/\//i.test(text)) throw invalid(text, 'is a URL: expected HOST or HOST:PORT');
  const { host, port } = splitTarget(text);
  if (!isHost(host))
    throw invalid(text, 'names no host: expected a name, an IPv4 address, or an IPv6 address in brackets');
  assertZone(host, text);
  return { host, port };
}

/** Parses `HOST`: a name, an IPv4 address, or an IPv6 address with or without brackets. Throws `ARGUMENT_INVALID`. */
export function parseHost(text: string): string {
  const { host, port } = splitTarget(text);
  if (isHost(host) && port === undefined) return host;
  throw invalid(text, 'is not a host: expected a name, an IPv4 address, or an IPv6 address, without a port');
}

/** Parses a port from 1 to 65535 or a service name. Throws `ARGUMENT_INVALID`, quoting the text that contains it. */
export function parsePort(
  port: string,
  text: string,
  protocol: 'tcp' | 'udp',
  lookupPort: ServicePortLookup = lookupServicePort,
): number {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : lookupPort(port, protocol);
  if (number !== undefined && number >= 1 && number <= 65_535) return number;
  const expected = `expected 1 to 65535, or a service in /etc/services for ${protocol}`;
  throw invalid(text, `has port ${JSON.stringify(port)}: ${expected}`);
}

function splitTarget(text: string): { readonly host: string; readonly port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const host = bracketed[1] ?? '';
    return { host: host.includes(':') ? host : '', port: bracketed[2] };
  }
  const colon = text.indexOf(':');
  if (colon < 0 || (colon !== text.lastIndexOf(':') && parseIp(text) !== undefined))
    return { host: text, port: undefined };
  return { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

/**
 * For what is sent to a host: the kernel does not know which link a link-local address is on (RFC 4007 section 6).
 * Throws `ARGUMENT_INVALID`.
 */
export function assertZone(host: string, text: string): void {
  const ip = parseIp(host);
  if (ip === undefined || !isLinkLocalIpv6(ip) || host.includes('%')) return;
  const names = linkLocalInterfaces();
  const example = `expected its interface, too, as in ${host}%${names[0] ?? 'eth0'}`;
  const others = names.length > 1 ? ` (or ${names.slice(1, mostNamed).join(', ')})` : '';
  throw invalid(text, `has a link-local address without a zone: ${example}${others}`);
}

const mostNamed = 8;

/** The interfaces of this machine that have a link-local address. None if the system does not tell. */
function linkLocalInterfaces(): readonly string[] {
  try {
    const all = Object.entries(networkInterfaces());
    return all.filter(([, addresses = []]) => addresses.some(isOnLink)).map(([name]) => name);
  } catch {
    return [];
  }
}

function isOnLink({ family, scopeid = 0 }: NetworkInterfaceInfo): boolean {
  return family === 'IPv6' && scopeid > 0;
}

/**
 * Accepts addresses and anything that could be a name (RFC 1123 section 2.1, and what DNS allows beyond it). The
 * resolver decides whether the name exists.
 */
function isHost(host: string): boolean {
  if (host.includes(':')) return parseIp(host) !== undefined;
  return /^[\p{L}\p{N}_]([\p{L}\p{N}_.-]{0,252})$/u.test(host);
}

function invalid(text: string, fault: string): SmallservdError {
  return new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(text)} ${fault}`);
}
