import { cidrContains, type Cidr, parseCidr } from './cidr.ts';
import type { IpAddress } from './ip-address.ts';

/** The purpose of an address. `reserved` addresses must not be used by hosts, `global` covers everything not listed. */
export type AddressKind =
  | 'unspecified'
  | 'loopback'
  | 'private'
  | 'shared'
  | 'unique local'
  | 'link-local'
  | 'multicast'
  | 'broadcast'
  | 'documentation'
  | 'benchmarking'
  | 'translation'
  | 'reserved'
  | 'global';

/**
 * IANA's special-purpose registries (RFC 6890; iana-ipv4-special-registry, iana-ipv6-special-registry) and the
 * multicast blocks, narrower blocks first. Blocks registered as globally reachable are `global`.
 */
const blocks: readonly (readonly [Cidr, AddressKind])[] = Object.entries({
  '0.0.0.0/32': 'unspecified',
  '0.0.0.0/8': 'reserved',
  '10.0.0.0/8': 'private',
  '100.64.0.0/10': 'shared',
  '127.0.0.0/8': 'loopback',
  '169.254.0.0/16': 'link-local',
  '172.16.0.0/12': 'private',
  '192.0.0.9/32': 'global',
  '192.0.0.10/32': 'global',
  '192.0.0.0/24': 'reserved',
  '192.0.2.0/24': 'documentation',
  '192.168.0.0/16': 'private',
  '198.18.0.0/15': 'benchmarking',
  '198.51.100.0/24': 'documentation',
  '203.0.113.0/24': 'documentation',
  '224.0.0.0/4': 'multicast',
  '255.255.255.255/32': 'broadcast',
  '240.0.0.0/4': 'reserved',
  '0.0.0.0/0': 'global',
  '::/128': 'unspecified',
  '::1/128': 'loopback',
  '64:ff9b::/96': 'translation',
  '64:ff9b:1::/48': 'translation',
  '2001::/32': 'global',
  '2001:1::1/128': 'global',
  '2001:1::2/128': 'global',
  '2001:1::3/128': 'global',
  '2001:2::/48': 'benchmarking',
  '2001:3::/32': 'global',
  '2001:4:112::/48': 'global',
  '2001:20::/28': 'global',
  '2001:30::/28': 'global',
  '2001::/23': 'reserved',
  '2001:db8::/32': 'documentation',
  '3fff::/20': 'documentation',
  // All IPv6 space allocated by IANA (RFC 4291 section 2.4, iana-ipv6-address-space).
  '2000::/3': 'global',
  'fc00::/7': 'unique local',
  'fe80::/10': 'link-local',
  'ff00::/8': 'multicast',
} as const).map(([text, kind]) => [parseCidr(text)!, kind]);

/** Classifies an address by the registries. An IPv4-mapped address counts as IPv4. */
export function kindOf(ip: IpAddress): AddressKind {
  return blocks.find(([block]) => cidrContains(block, ip))?.[1] ?? 'reserved';
}
