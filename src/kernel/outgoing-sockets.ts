import { constants } from 'node:os';
import { type IpAddress, isIpv4 } from '../address/ip-address.ts';
import { requireLibc } from './libc.ts';
import { AF_INET, AF_INET6, SocketAddress } from './socket-address.ts';
import { type InetAddress, opened, setOption } from './sockets.ts';
import { check, systemError } from './system-error.ts';

// bits/socket.h, asm-generic/socket.h
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
// linux/in.h
const IPPROTO_IP = 0;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
const IP_RECVERR = 11;
const IP_BIND_ADDRESS_NO_PORT = 24;
const IP_RECVFRAGSIZE = 25;
const IPPROTO_ICMP = 1;
// linux/in6.h
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MTU = 24;
const IPV6_MTU_DISCOVER = 23;
const IPV6_RECVERR = 25;
const IPV6_V6ONLY = 26;
const IPV6_TCLASS = 67;
const IPV6_RECVFRAGSIZE = 77;
const IPPROTO_ICMPV6 = 58;
/** Of both IP_MTU_DISCOVER and IPV6_MTU_DISCOVER. */
const PMTUDISC_DONT = 0;
const PMTUDISC_DO = 2;
const PMTUDISC_PROBE = 3;
/** Every IPv6 link takes packets of this size (RFC 8200 section 5). */
const leastMtu6 = 1280;

const { EINPROGRESS, EINTR } = constants.errno;

/** How the packets of a socket leave this machine and travel. */
export interface OutgoingOptions {
  /** Our address, of the family of the peer. Default: what the route to the peer has. */
  readonly source?: { readonly ip: IpAddress; readonly interfaceIndex: number } | undefined;
  /** Our port. Default: the kernel chooses. */
  readonly sourcePort?: number | undefined;
  /** The name of the interface to use, whatever the routes say. See SO_BINDTODEVICE in socket(7). */
  readonly interface?: string | undefined;
  /** The type of service or traffic class, 0 to 255. See IP_TOS in ip(7). */
  readonly trafficClass?: number | undefined;
  /** The time to live or hop limit, 1 to 255. */
  readonly ttl?: number | undefined;
  /** Neither this machine nor a router may fragment packets. See IP_MTU_DISCOVER in ip(7). */
  readonly isUnfragmented?: boolean | undefined;
}

/** The first socket of this process that has a port, or a further one. See SO_REUSEADDR in socket(7). */
export type PortSharing = 'first' | 'further';

/**
 * Opens a UDP socket that receives only from `peer`, and has ICMP errors in its error queue. An IPv6 socket can also
 * have an IPv4-mapped peer. With `sharing`, sockets of this process to other peers may have the same source port.
 * Throws an error with the system's code. See udp(7).
 */
export function connectUdp(
  peer: InetAddress,
  receiveBufferBytes: number,
  options: OutgoingOptions = {},
  sharing?: PortSharing,
): number {
  return opened(domainOf(peer), SOCK_DGRAM, (descriptor) => {
    setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes);
    if (sharing === 'further') setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    prepare(descriptor, peer, options);
    // Not before the bind, so that it fails if another process has the port: our answers would go there.
    if (sharing === 'first') setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    connect(descriptor, peer);
  });
}

/**
 * Opens a raw ICMP or ICMPv6 socket that receives only from `peer`, whose port does not matter, and has ICMP errors in
 * its error queue. Over IPv4 what it receives starts with the IP header. Throws an error with the system's code. See
 * raw(7).
 */
export function connectIcmp(peer: InetAddress, receiveBufferBytes: number, options: OutgoingOptions = {}): number {
  const protocol = peer.family === 'ipv6' ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
  const prepareAll = (descriptor: number): void => {
    setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes);
    prepare(descriptor, peer, options);
    connect(descriptor, peer);
  };
  return opened(domainOf(peer), SOCK_RAW, prepareAll, protocol);
}

/**
 * Makes a socket send packets that nobody may fragment, whatever the kernel knows of the path: only the MTU of the
 * interface bounds them. See IP_PMTUDISC_PROBE in ip(7).
 */
export function probePath(descriptor: number, family: 'ipv4' | 'ipv6'): void {
  setBoth(descriptor, family, [IP_MTU_DISCOVER, IPV6_MTU_DISCOVER], PMTUDISC_PROBE);
}

/**
 * Makes a socket send packets in fragments. Over IPv4 routers may fragment them, too. Over IPv6 this machine does, to
 * what the kernel knows of the path, and for packets larger than the MTU of the interface to `mtu`, at least 1280. See
 * IPV6_MTU in ipv6(7).
 */
export function fragmentPackets(descriptor: number, family: 'ipv4' | 'ipv6', mtu: number): void {
  setBoth(descriptor, family, [IP_MTU_DISCOVER, IPV6_MTU_DISCOVER], PMTUDISC_DONT);
  if (family === 'ipv6') setOption(descriptor, IPPROTO_IPV6, IPV6_MTU, Math.max(leastMtu6, mtu));
}

/** Makes a socket tell the largest fragment of what arrives in fragments. See `fragmentBytes` of `DatagramBatch`. */
export function tellFragments(descriptor: number, family: 'ipv4' | 'ipv6'): void {
  setBoth(descriptor, family, [IP_RECVFRAGSIZE, IPV6_RECVFRAGSIZE], 1);
}

/**
 * Opens a TCP socket and starts connecting it. It becomes writable at the end of the attempt, and then has the error in
 * SO_ERROR, and the ICMP message that caused it in its error queue. See tcp(7).
 */
export function startTcp(peer: InetAddress, options: OutgoingOptions = {}): number {
  return opened(domainOf(peer), SOCK_STREAM, (descriptor) => {
    setOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    // A source port whose last connection is still in TIME-WAIT can be used for another peer.
    setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    prepare(descriptor, peer, options);
    connect(descriptor, peer);
  });
}

/**
 * Turns the error queue on or off. A TCP connection that is established must not have one: each ICMP message would end
 * it, where the kernel otherwise tries again. See IP_RECVERR in ip(7).
 */
export function queueErrors(descriptor: number, family: 'ipv4' | 'ipv6', isWanted: boolean): void {
  setBoth(descriptor, family, [IP_RECVERR, IPV6_RECVERR], isWanted ? 1 : 0);
}

function prepare(descriptor: number, peer: InetAddress, options: OutgoingOptions): void {
  const { family } = peer;
  const { source, sourcePort = 0, trafficClass, ttl, isUnfragmented = false } = options;
  queueErrors(descriptor, family, true);
  if (options.interface !== undefined) useInterface(descriptor, options.interface);
  if (trafficClass !== undefined) setBoth(descriptor, family, [IP_TOS, IPV6_TCLASS], trafficClass);
  if (ttl !== undefined) setBoth(descriptor, family, [IP_TTL, IPV6_UNICAST_HOPS], ttl);
  if (isUnfragmented) setBoth(descriptor, family, [IP_MTU_DISCOVER, IPV6_MTU_DISCOVER], PMTUDISC_DO);
  if (source === undefined && sourcePort === 0) return;
  // Otherwise a socket for an IPv6 peer would also take the port from one for an IPv4 peer.
  if (family === 'ipv6' && !isIpv4(peer.ip)) setOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  // The port is chosen when the peer is known: more connections than ports can have this address.
  if (sourcePort === 0) setOption(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  const { ip = anyAddress, interfaceIndex = 0 } = source ?? {};
  const address = addressOf({ family, ip, port: sourcePort, interfaceIndex });
  check('bind', requireLibc().bind(descriptor, address.bytes, address.length[0] ?? 0));
}

const anyAddress: IpAddress = { w0: 0, w1: 0, w2: 0, w3: 0 };

/**
 * Sets an option for IPv4, and for IPv6 if it is an IPv6 socket, which can have an IPv4-mapped peer. Raw IPv6 sockets
 * cannot, and have no options of IPv4.
 */
function setBoth(
  descriptor: number,
  family: 'ipv4' | 'ipv6',
  [name4, name6]: readonly [number, number],
  value: number,
): void {
  if (family === 'ipv6') setOption(descriptor, IPPROTO_IPV6, name6, value);
  try {
    setOption(descriptor, IPPROTO_IP, name4, value);
  } catch (error) {
    if (family !== 'ipv6' || (error as NodeJS.ErrnoException).code !== 'ENOPROTOOPT') throw error;
  }
}

function useInterface(descriptor: number, name: string): void {
  const bytes = Buffer.from(`${name}\0`);
  check('setsockopt', requireLibc().setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, bytes, bytes.length));
}

function domainOf({ family }: InetAddress): number {
  return family === 'ipv6' ? AF_INET6 : AF_INET;
}

function addressOf({ family, ip, port, interfaceIndex }: InetAddress): SocketAddress {
  const address = new SocketAddress();
  return family === 'ipv6' ? address.setIpv6(ip, port, interfaceIndex) : address.setIpv4(ip, port);
}

function connect(descriptor: number, peer: InetAddress): void {
  const { bytes, length } = addressOf(peer);
  const libc = requireLibc();
  if (libc.connect(descriptor, bytes, length[0] ?? 0) === 0) return;
  const number = libc.errno();
  // Interrupted, it goes on: connect(2).
  if (number !== EINPROGRESS && number !== EINTR) throw systemError('connect', number);
}
