import { type Cidr, parseCidr } from '../../../../src/address/cidr.ts';
import { type IpAddress, parseIp } from '../../../../src/address/ip-address.ts';
import type { AccessRules, DatagramLimits, StreamLimits } from '../../../../src/server/guard/limits.ts';

/** The defaults of the config. */
export const streamLimits: StreamLimits = {
  idleTimeoutMs: 300_000,
  stallTimeoutMs: 30_000,
  minProgressBytes: 1024,
  maxLifetimeMs: 86_400_000,
  lingerTimeoutMs: 5000,
  maxBytes: 2 ** 40,
  maxConnections: 1000,
  maxConnectionsPerSource: 100,
  networkShare: { ipv6Prefix56: 25, ipv6Prefix48: 50 },
  connectionRate: { perSecond: 100, burst: 200 },
  sourcePrefix: { ipv4: 32, ipv6: 64 },
  dryRun: false,
};

/** The defaults of the config. */
export const datagramLimits: DatagramLimits = {
  datagramRate: { perSecond: 200, burst: 400 },
  datagramServiceRate: { perSecond: 20_000, burst: 20_000 },
  sourcePrefix: { ipv4: 24, ipv6: 56 },
  dryRun: false,
  maxAmplification: 2,
  allowSourcePorts: [],
  receiveBufferBytes: 4 * 2 ** 20,
};

/** Everybody may come, nobody is exempt unless given. */
export function access(lists: { [List in keyof AccessRules]?: string[] } = {}): AccessRules {
  const { allow = [], deny = [], exempt = [], exemptByHeader = [] } = lists;
  return {
    allow: allow.map(cidr),
    deny: deny.map(cidr),
    exempt: exempt.map(cidr),
    exemptByHeader: exemptByHeader.map(cidr),
  };
}

/** `fe80::1%3` has zone 3. */
export function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`no IP address: ${text}`);
  const zone = text.split('%')[1];
  return zone === undefined ? address : { ...address, zone: Number(zone) };
}

export function cidr(text: string): Cidr {
  const block = parseCidr(text);
  if (block === undefined) throw new Error(`no CIDR block: ${text}`);
  return block;
}

/** Numbers from 0 up to 1, the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
