import { lookup as dnsLookup } from 'node:dns/promises';
import { SmallservdError } from '../errors.ts';
import { describeSystemError } from '../system-error-text.ts';
import { formatIp, parseIp } from './ip-address.ts';
import type { NetworkListenAddress } from './listen-address.ts';
import { isLocalhost, loopback, wildcard } from './own-address.ts';

/** A single socket to open. */
export interface ResolvedAddress {
  readonly transport: 'tcp' | 'udp';
  readonly family: 'ipv4' | 'ipv6';
  /** A literal in canonical form, or `0.0.0.0` or `::` for all interfaces of that family. */
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Whether to skip the socket if the machine lacks its family. True unless the config names a single address. */
  readonly optional: boolean;
}

/** Resolves all addresses of a name. Rejects if there are none. */
export type NameLookup = (name: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** Resolves a listen address to sockets. Throws `NAME_NOT_RESOLVED` if a name has no address of the wanted family. */
export async function resolveListenAddress(
  listen: NetworkListenAddress,
  lookup: NameLookup = (name) => dnsLookup(name, { all: true }),
): Promise<readonly ResolvedAddress[]> {
  return resolveWithoutLookup(listen) ?? (await resolveName(listen, lookup));
}

/** The same for addresses that need no resolver (literals, all interfaces, localhost). Undefined for other names. */
export function resolveWithoutLookup(listen: NetworkListenAddress): readonly ResolvedAddress[] | undefined {
  const { scheme: transport, host, port } = listen;
  if (host === '') return bothFamilies(listen, wildcard);
  if (isLocalhost(host)) return bothFamilies(listen, loopback);
  const [literal = '', zone] = host.split('%');
  const ip = parseIp(literal);
  if (ip === undefined) return undefined;
  const address = zone === undefined ? formatIp(ip) : `${formatIp(ip)}%${zone}`;
  const family = literal.includes(':') ? 'ipv6' : 'ipv4';
  return [{ transport, family, address, port, optional: false }];
}

/**
 * Pairs each listener that conflicts with an earlier one with the first such listener: same transport, family and port,
 * and either the same address or a wildcard on one side. Port 0 never conflicts.
 */
export function findOverlaps<Listener extends ResolvedAddress>(
  listeners: readonly Listener[],
): readonly (readonly [Listener, Listener])[] {
  // The first listener on each port, and on each address and port.
  const firsts = new Map<string, Listener>();
  const overlaps: (readonly [Listener, Listener])[] = [];
  for (const listener of listeners) {
    const { transport, family, address, port } = listener;
    if (port === 0) continue;
    const onPort = `${transport} ${family} ${port}`;
    const onAddress = `${onPort} ${address}`;
    const ofAll = `${onPort} ${wildcard[family]}`;
    const other = onAddress === ofAll ? firsts.get(onPort) : (firsts.get(onAddress) ?? firsts.get(ofAll));
    if (other !== undefined) overlaps.push([other, listener]);
    for (const key of [onPort, onAddress]) if (!firsts.has(key)) firsts.set(key, listener);
  }
  return overlaps;
}

function bothFamilies(listen: NetworkListenAddress, addresses: typeof wildcard | typeof loopback): ResolvedAddress[] {
  const families = (['ipv4', 'ipv6'] as const).filter((each) => listen.family === 'both' || listen.family === each);
  return families.map((family) => ({
    transport: listen.scheme,
    family,
    address: addresses[family],
    port: listen.port,
    optional: true,
  }));
}

async function resolveName(listen: NetworkListenAddress, lookup: NameLookup): Promise<ResolvedAddress[]> {
  let found: Awaited<ReturnType<NameLookup>>;
  try {
    found = await lookup(listen.host);
  } catch (cause) {
    const reason = describeSystemError(cause, 'name');
    throw new SmallservdError('NAME_NOT_RESOLVED', `cannot resolve ${listen.host}: ${reason}`, { cause });
  }
  const resolved = new Map<string, ResolvedAddress>();
  for (const { address, family: version } of found) {
    const family = version === 6 ? 'ipv6' : 'ipv4';
    if (listen.family !== 'both' && listen.family !== family) continue;
    resolved.set(address, { transport: listen.scheme, family, address, port: listen.port, optional: true });
  }
  if (resolved.size === 0) {
    const wanted = { both: 'address', ipv4: 'IPv4 address', ipv6: 'IPv6 address' }[listen.family];
    throw new SmallservdError('NAME_NOT_RESOLVED', `the name ${listen.host} has no ${wanted}`);
  }
  return [...resolved.values()];
}
