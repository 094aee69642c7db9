import { isBroadcast, isIpv4, isMulticast, isUnspecified, parseIp } from '../../address/ip-address.ts';
import { SmallservdError } from '../../errors.ts';
import { libcNeeds } from '../../kernel/libc.ts';
import type { OutgoingOptions } from '../../kernel/outgoing-sockets.ts';
import { hasSockets } from '../../kernel/sockets.ts';
import { zoneIndex } from './inet-address.ts';
import type { Family, HostAddress } from './resolve-host.ts';

/** IFNAMSIZ in linux/if.h, less the final zero. */
const longestInterfaceBytes = 15;

/** How the packets of a client leave this machine and travel. Defaults: as the system decides. */
export interface PathControls {
  /** An address of this machine, without brackets. Only addresses of its family are tried. */
  readonly source?: string | undefined;
  /** 1 to 65535. */
  readonly sourcePort?: number | undefined;
  /** The name of the interface to use, whatever the routes say. */
  readonly interface?: string | undefined;
  /** The differentiated services code point (RFC 2474), 0 to 63. */
  readonly dscp?: number | undefined;
  /** Time to live (hop limit over IPv6), 1 to 255. */
  readonly ttl?: number | undefined;
  /** No packet may be fragmented, on the way or here. */
  readonly dontFragment?: boolean | undefined;
}

/** Whether anything is asked for that only the kernel's own calls can do. */
export function needsKernel({ source, interface: name, dscp, ttl, dontFragment = false }: PathControls): boolean {
  return dontFragment || [source, name, dscp, ttl].some((each) => each !== undefined);
}

/**
 * The families that a source address leaves of these. Throws `ARGUMENT_INVALID` if none is left, no socket can have
 * it, another value is out of range, or this process cannot call the kernel.
 */
export function familyOnPath(path: PathControls, family: Family): Family {
  assertRange('the source port', path.sourcePort, 1, 65_535);
  assertRange('the code point', path.dscp, 0, 63);
  assertRange('the time to live', path.ttl, 1, 255);
  if (needsKernel(path) && !hasSockets)
    throw invalid(`source address, interface, DSCP, time to live and don't fragment need ${libcNeeds}`);
  const nameBytes = path.interface === undefined ? 1 : Buffer.byteLength(path.interface);
  if (nameBytes < 1 || nameBytes > longestInterfaceBytes)
    throw invalid(
      `${JSON.stringify(path.interface)} is not an interface: expected 1 to ${longestInterfaceBytes} bytes`,
    );
  if (path.source === undefined) return family;
  const ip = parseIp(path.source);
  if (ip === undefined) throw invalid(`${JSON.stringify(path.source)} is not a source address: expected IPv4 or IPv6`);
  if (isUnspecified(ip) || isMulticast(ip) || isBroadcast(ip))
    throw invalid(`${path.source} is not a source address: expected an address of this machine`);
  const own = isIpv4(ip) ? 'ipv4' : 'ipv6';
  if (family === 'both' || family === own) return own;
  throw invalid(`the source address ${path.source} is not an ${family === 'ipv4' ? 'IPv4' : 'IPv6'} address`);
}

/** The path as options of a socket to a peer of this family. Throws `ENODEV` if the source has an unknown zone. */
export function outgoingOptions(path: PathControls, family: HostAddress['family']): OutgoingOptions {
  const [text = '', zone] = path.source?.split('%') ?? [];
  const ip = parseIp(text);
  // An address of the other family would be misread.
  const isUsable = ip !== undefined && isIpv4(ip) === (family === 'ipv4');
  return {
    source: isUsable ? { ip, interfaceIndex: zone === undefined ? 0 : zoneIndex(zone) } : undefined,
    sourcePort: path.sourcePort,
    interface: path.interface,
    // The two lower bits are for congestion notification (RFC 3168).
    trafficClass: path.dscp === undefined ? undefined : path.dscp << 2,
    ttl: path.ttl,
    isUnfragmented: path.dontFragment,
  };
}

function assertRange(what: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  throw invalid(`${what} is ${value}: expected ${least} to ${most}`);
}

function invalid(message: string): SmallservdError {
  return new SmallservdError('ARGUMENT_INVALID', message);
}
