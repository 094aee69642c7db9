import { parseIp } from '../../address/ip-address.ts';
import { lookupServicePort, type ServicePortLookup } from '../../address/service-ports.ts';
import { SmallservdError } from '../../errors.ts';

/** Whom to talk to, not yet resolved. */
export interface Target {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address. The port is a number from 1 on or a service of
 * /etc/services for that protocol; without one it is that of `service`. Throws `ARGUMENT_INVALID`.
 */
export function parseTarget(
  text: string,
  protocol: 'tcp' | 'udp',
  service?: string,
  lookupPort: ServicePortLookup = lookupServicePort,
): Target {
  const { host, port } = splitTarget(text);
  if (!isHost(host)) {
    const expected = 'expected a name, an IPv4 address, or an IPv6 address in brackets';
    throw new SmallservdError('ARGUMENT_INVALID', `${show(text)} names no host: ${expected}`);
  }
  if (port !== undefined) return { host, port: parsePort(port, text, protocol, lookupPort) };
  const assigned = service === undefined ? undefined : lookupPort(service, protocol);
  if (assigned === undefined)
    throw new SmallservdError('ARGUMENT_INVALID', `${show(text)} has no port: expected ${withPort(host)}`);
  return { host, port: assigned };
}

/** Reads `HOST` alone: a name, an IPv4 address, an IPv6 address with or without brackets. Throws `ARGUMENT_INVALID`. */
export function parseHost(text: string): string {
  const { host, port } = splitTarget(text);
  if (isHost(host) && port === undefined) return host;
  const expected = 'expected a name, an IPv4 address, or an IPv6 address, without a port';
  throw new SmallservdError('ARGUMENT_INVALID', `${show(text)} is no host: ${expected}`);
}

/** A port from 1 to 65535, or the name of a service. Throws `ARGUMENT_INVALID`, naming the text it stands in. */
function parsePort(port: string, text: string, protocol: 'tcp' | 'udp', lookupPort: ServicePortLookup): number {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : lookupPort(port, protocol);
  if (number !== undefined && number >= 1 && number <= 65_535) return number;
  const expected = `expected 1 to 65535, or a service in /etc/services for ${protocol}`;
  throw new SmallservdError('ARGUMENT_INVALID', `${show(text)} has port ${show(port)}: ${expected}`);
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
 * An address, or what can be a name: the resolver decides whether it is one (RFC 1123 section 2.1 and what DNS holds
 * beside it).
 */
function isHost(host: string): boolean {
  if (host.includes(':')) return parseIp(host) !== undefined;
  return /^[\p{L}\p{N}_]([\p{L}\p{N}_.-]{0,252})$/u.test(host);
}

function withPort(host: string): string {
  return host.includes(':') ? `[${host}]:PORT` : `${host}:PORT`;
}

/** In quotes, without what could give orders to a terminal. */
function show(text: string): string {
  return JSON.stringify(text);
}
