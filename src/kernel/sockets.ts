import { closeSync } from 'node:fs';
import { formatIp, type IpAddress } from '../address/ip-address.ts';
import { libc, requireLibc } from './libc.ts';
import { AF_INET, AF_INET6, AF_UNIX, SocketAddress } from './socket-address.ts';
import { check, systemError } from './system-error.ts';

// bits/socket.h, asm-generic/socket.h. Powerpc differs only in options that are not used here.
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_TYPE = 3;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
const SO_REUSEPORT = 15;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const SO_MEMINFO = 55;
const SO_SNDBUFFORCE = 32;
export const SO_PASSRIGHTS = 83;
const IPPROTO_IP = 0;
const IP_OPTIONS = 4;
const IP_PKTINFO = 8;
const IP_RECVERR = 11;
const IP_RECVTTL = 12;
const IP_RECVTOS = 13;
const SO_TIMESTAMPNS = 35;
const SO_TIMESTAMPING = 37;
const IP_MTU_DISCOVER = 10;
const IP_FREEBIND = 15;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_NOTSENT_LOWAT = 25;
// linux/udp.h
const SOL_UDP = 17;
const UDP_CORK = 1;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
// linux/in6.h
const IPPROTO_IPV6 = 41;
const IPV6_RECVPKTINFO = 49;
const IPV6_RECVERR = 25;
const IPV6_RECVHOPLIMIT = 51;
const IPV6_HOPOPTS = 54;
const IPV6_RTHDRDSTOPTS = 55;
const IPV6_RTHDR = 57;
const IPV6_DSTOPTS = 59;
const IPV6_RECVTCLASS = 66;
const IPV6_MTU_DISCOVER = 23;
const IPV6_V6ONLY = 26;
const IPV6_FREEBIND = 78;
/** Of both IP_MTU_DISCOVER and IPV6_MTU_DISCOVER. */
const PMTUDISC_DONT = 0;

const unsentBytes = 32 * 1024;

// linux/sock_diag.h
const SK_MEMINFO_DROPS = 8;
const SK_MEMINFO_VARS = 9;

/**
 * Replies to hosts that do not exist wait here for up to three seconds each, which only the size of the kernel's table
 * of neighbors bounds. Less would let them keep out all others.
 */
const sendBufferBytes = 8 * 1024 * 1024;

/** Where an Internet socket is, or will be, bound. */
export interface InetAddress {
  readonly family: 'ipv4' | 'ipv6';
  readonly ip: IpAddress;
  readonly port: number;
  /** The zone of a link-local IPv6 address, as an interface index, and else 0. */
  readonly interfaceIndex: number;
}

/** How to bind a socket. */
export interface BindOptions {
  /** See `allowOverlap`. */
  readonly mayOverlap?: boolean;
  /** Binds also to an address that this machine does not have (yet). See IP_FREEBIND in ip(7). */
  readonly freebind?: boolean;
}

/** What a socket is. */
export interface SocketKind {
  readonly family: 'ipv4' | 'ipv6' | 'unix';
  readonly type: 'stream' | 'datagram';
  readonly isListening: boolean;
}

/** Whether this process can call the functions below. They throw if it cannot. */
export const hasSockets: boolean = libc !== undefined;

/**
 * Opens a listening TCP socket. An IPv6 socket does not accept IPv4. Like all sockets here, it does not block, and
 * programs that this process starts do not inherit it. Throws an error with the system's code. See tcp(7).
 */
export function listenTcp(address: InetAddress, backlog: number, options: BindOptions = {}): number {
  return opened(domainOf(address), SOCK_STREAM, (descriptor) => {
    // An address whose last connections are still in TIME-WAIT can be bound, as after a restart.
    setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    bindTo(descriptor, address, options);
    check('listen', requireLibc().listen(descriptor, backlog));
  });
}

/**
 * Opens a bound UDP socket, with a receive buffer of `receiveBufferBytes` or as large as the kernel allows. See udp(7).
 */
export function bindUdp(address: InetAddress, receiveBufferBytes: number, options: BindOptions = {}): number {
  return opened(domainOf(address), SOCK_DGRAM, (descriptor) => {
    setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes);
    enlargeSendBuffer(descriptor);
    // Before anything can arrive: the kernel notes it when a datagram arrives, not when it is read.
    tellDestinations(descriptor, address.family);
    bindTo(descriptor, address, options);
  });
}

/** Opens a listening UNIX stream socket, which creates its file. The umask decides who may connect. See unix(7). */
export function listenUnix(path: string, backlog: number): number {
  const address = new SocketAddress().setPath(path);
  return opened(AF_UNIX, SOCK_STREAM, (descriptor) => {
    refuseDescriptors(descriptor);
    check('bind', requireLibc().bind(descriptor, address.bytes, address.length[0] ?? 0));
    check('listen', requireLibc().listen(descriptor, backlog));
  });
}

/** Opens a UNIX stream socket, connected to a listener, which cannot send it descriptors. See unix(7). */
export function connectUnix(path: string): number {
  const address = new SocketAddress().setPath(path);
  return opened(AF_UNIX, SOCK_STREAM, (descriptor) => {
    // Before the connect: what is sent to it then is refused from the start.
    refuseDescriptors(descriptor);
    check('connect', requireLibc().connect(descriptor, address.bytes, address.length[0] ?? 0));
  });
}

/**
 * Lets another socket of the same user be bound to an overlapping address (a single one of the wildcard's, or the
 * reverse) if that socket is allowed this, too. See SO_REUSEPORT in socket(7).
 */
export function allowOverlap(descriptor: number, isAllowed: boolean): void {
  setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, isAllowed ? 1 : 0);
}

/**
 * Makes the kernel refuse descriptors that are sent to a UNIX socket, or to the clients of a listening one. Whoever
 * reads a message drops those that come with it, and the close of a TCP socket may wait for minutes, if the sender
 * wants it to (SO_LINGER). Does nothing before Linux 6.16, for other sockets, and without koffi. See SO_PASSRIGHTS in
 * unix(7).
 */
export function refuseDescriptors(descriptor: number): void {
  libc?.setsockopt(descriptor, SOL_SOCKET, SO_PASSRIGHTS, new Uint8Array(new ArrayBuffer(4)), 4);
}

/**
 * Makes the kernel take no more for the clients of a listening TCP socket while it holds this much that it could not
 * send yet. By default it takes megabytes. Does nothing for other sockets, and without koffi. See TCP_NOTSENT_LOWAT in
 * linux/Documentation/networking/ip-sysctl.rst.
 */
export function limitUnsent(descriptor: number): void {
  const bytes = new Uint8Array(new Uint32Array([unsentBytes]).buffer);
  libc?.setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes, 4);
}

/**
 * Makes bytes that were sent as urgent (MSG_OOB) arrive in their place among the others, where they are counted. The
 * reader would never see them otherwise, but be woken for each. See SO_OOBINLINE in socket(7).
 */
export function takeUrgentBytes(descriptor: number): void {
  const yes = new Uint8Array(new ArrayBuffer(4));
  yes[0] = 1;
  libc?.setsockopt(descriptor, SOL_SOCKET, SO_OOBINLINE, yes, 4);
}

/** Sets options of a listening TCP socket, which the kernel gives to each client that it accepts. See tcp(7). */
export function setStreamOptions(
  descriptor: number,
  options: { readonly keepAlive: { readonly enabled: boolean; readonly delayMs: number }; readonly noDelay: boolean },
): void {
  const { keepAlive, noDelay } = options;
  setOption(descriptor, IPPROTO_TCP, TCP_NODELAY, noDelay ? 1 : 0);
  setOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, keepAlive.enabled ? 1 : 0);
  if (!keepAlive.enabled) return;
  // As Node does it: one probe a second, ten times.
  setOption(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, Math.max(1, Math.floor(keepAlive.delayMs / 1000)));
  setOption(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  setOption(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 10);
}

/** Makes a UDP socket tell where each datagram was sent to. See IP_PKTINFO in ip(7), IPV6_RECVPKTINFO in ipv6(7). */
export function tellDestinations(descriptor: number, family: 'ipv4' | 'ipv6'): void {
  if (family === 'ipv4') setOption(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
  else setOption(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/**
 * Undoes what the creator of an inherited UDP socket may have set that would break a promise:
 *
 * - UDP_CORK of udp(7) would keep every reply, and UDP_SEGMENT cut it into many, which together have more headers than
 *   was counted. UDP_GRO would have datagrams merged, and taken for one.
 * - IP options and extension headers of IPv6 make replies larger than was counted, and may send them elsewhere.
 * - Nobody reads queued errors (IP_RECVERR in ip(7)) and times of replies (SO_TIMESTAMPING in socket(7)). They would
 *   keep the socket ready for ever, and fill its receive buffer.
 */
export function resetDatagramOptions(descriptor: number, family: 'ipv4' | 'ipv6'): void {
  const functions = requireLibc();
  // Linux before 5.0 does not know all of them.
  for (const name of [UDP_CORK, UDP_SEGMENT, UDP_GRO])
    functions.setsockopt(descriptor, SOL_UDP, name, new Uint8Array(new ArrayBuffer(4)), 4);
  functions.setsockopt(descriptor, IPPROTO_IP, IP_OPTIONS, new Uint8Array(new ArrayBuffer(4)), 0);
  // Before IP_RECVERR, which also discards what is queued.
  setOption(descriptor, SOL_SOCKET, SO_TIMESTAMPING, 0);
  setOption(descriptor, IPPROTO_IP, IP_RECVERR, 0);
  if (family === 'ipv4') return;
  // All but the routing header take CAP_NET_RAW to remove, which workers lack. They also take it to set.
  for (const name of [IPV6_HOPOPTS, IPV6_RTHDRDSTOPTS, IPV6_RTHDR, IPV6_DSTOPTS])
    functions.setsockopt(descriptor, IPPROTO_IPV6, name, new Uint8Array(new ArrayBuffer(4)), 0);
  setOption(descriptor, IPPROTO_IPV6, IPV6_RECVERR, 0);
}

/**
 * Makes a UDP socket tell when each datagram arrived, and its time to live and traffic class. See SO_TIMESTAMPNS in
 * socket(7), IP_RECVTTL in ip(7), IPV6_RECVHOPLIMIT in ipv6(7).
 */
export function tellHeaders(descriptor: number, family: 'ipv4' | 'ipv6'): void {
  setOption(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  // An inherited IPv6 socket may also receive over IPv4.
  setOption(descriptor, IPPROTO_IP, IP_RECVTTL, 1);
  setOption(descriptor, IPPROTO_IP, IP_RECVTOS, 1);
  if (family === 'ipv4') return;
  setOption(descriptor, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
  setOption(descriptor, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
}

/**
 * Makes a UDP socket send datagrams without DF, so that routers may fragment them. Over IPv6 only the sender can, and
 * the kernel does so anyway once it knows the path. IPV6_MTU does not make it start earlier (tried on Linux 6.18).
 * Otherwise the kernel's default holds, also after an earlier call. See IP_MTU_DISCOVER in ip(7), ipv6(7).
 */
export function allowFragments(descriptor: number, family: 'ipv4' | 'ipv6', isAllowed: boolean): void {
  // An inherited IPv6 socket may also send over IPv4.
  allowFragmentsOf(descriptor, AF_INET, isAllowed);
  if (family === 'ipv6') allowFragmentsOf(descriptor, AF_INET6, isAllowed);
}

function allowFragmentsOf(descriptor: number, domain: typeof AF_INET | typeof AF_INET6, isAllowed: boolean): void {
  const level = domain === AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
  const name = domain === AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
  let value: number | undefined = PMTUDISC_DONT;
  if (!isAllowed) {
    if (readOption(descriptor, level, name) !== PMTUDISC_DONT) return;
    // net.ipv4.ip_no_pmtu_disc decides on the default.
    const fresh = opened(domain, SOCK_DGRAM, () => {});
    value = readOption(fresh, level, name);
    closeSync(fresh);
  }
  if (value !== undefined) setOption(descriptor, level, name, value);
}

/**
 * Returns how many datagrams the kernel has dropped at a socket since it was opened, modulo 2^32: its receive buffer
 * was full, or their checksum was wrong. 0 if the kernel does not tell. See SO_MEMINFO, linux/sock_diag.h.
 */
export function readDroppedDatagrams(descriptor: number): number {
  const memory = new Uint32Array(new ArrayBuffer(4 * SK_MEMINFO_VARS));
  const length = new Uint32Array(new ArrayBuffer(4)).fill(memory.byteLength);
  const result = requireLibc().getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, new Uint8Array(memory.buffer), length);
  return result === 0 && length[0] === memory.byteLength ? (memory[SK_MEMINFO_DROPS] ?? 0) : 0;
}

/** Returns where a socket is bound: its address, or its path, which is empty if it has none. */
export function boundTo(descriptor: number): InetAddress | { readonly family: 'unix'; readonly path: string } {
  const address = new SocketAddress().clear();
  check('getsockname', requireLibc().getsockname(descriptor, address.bytes, address.length));
  const { family, ip, port, interfaceIndex, path } = address;
  if (family === AF_UNIX) return { family: 'unix', path };
  return { family: family === AF_INET6 ? 'ipv6' : 'ipv4', ip, port, interfaceIndex };
}

/** Returns what a descriptor is, or undefined if it is not a socket of these kinds. */
export function kindOf(descriptor: number): SocketKind | undefined {
  const [domain, type, isListening] = [SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN].map((name) =>
    readOption(descriptor, SOL_SOCKET, name),
  );
  const family = domain === AF_UNIX ? 'unix' : domain === AF_INET ? 'ipv4' : domain === AF_INET6 ? 'ipv6' : undefined;
  if (family === undefined || (type !== SOCK_STREAM && type !== SOCK_DGRAM)) return undefined;
  return { family, type: type === SOCK_STREAM ? 'stream' : 'datagram', isListening: isListening === 1 };
}

/** Returns the index of an interface. Throws `ENODEV` if there is none of that name. See if_nametoindex(3). */
export function interfaceIndexOf(name: string): number {
  // koffi would hand libc a null pointer for what is no text.
  if (typeof name !== 'string') throw new TypeError('expected the name of an interface');
  const index = requireLibc().if_nametoindex(name);
  if (index === 0) throw systemError('if_nametoindex');
  return index;
}

/** Returns the name of an interface, or its index as text if it is gone. See if_indextoname(3). */
export function interfaceNameOf(index: number): string {
  const name = Buffer.alloc(16);
  if (requireLibc().if_indextoname(index, name) === null) return String(index);
  return name.toString('latin1', 0, name.indexOf(0));
}

/** Formats an address, with the zone of a link-local one: `fe80::1%eth0`. */
export function formatInetAddress({ ip, interfaceIndex }: InetAddress): string {
  const address = formatIp(ip);
  return interfaceIndex === 0 ? address : `${address}%${interfaceNameOf(interfaceIndex)}`;
}

/** Opens a socket and prepares it. If that fails, closes it and rethrows. */
export function opened(domain: number, type: number, prepare: (descriptor: number) => void, protocol = 0): number {
  const descriptor = check('socket', requireLibc().socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  try {
    prepare(descriptor);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return descriptor;
}

function domainOf({ family }: InetAddress): number {
  return family === 'ipv6' ? AF_INET6 : AF_INET;
}

function bindTo(
  descriptor: number,
  { family, ip, port, interfaceIndex }: InetAddress,
  { mayOverlap = false, freebind = false }: BindOptions,
): void {
  const address = new SocketAddress();
  if (mayOverlap) allowOverlap(descriptor, true);
  if (freebind && family === 'ipv6') setOption(descriptor, IPPROTO_IPV6, IPV6_FREEBIND, 1);
  else if (freebind) setOption(descriptor, IPPROTO_IP, IP_FREEBIND, 1);
  if (family === 'ipv6') {
    setOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    address.setIpv6(ip, port, interfaceIndex);
  } else {
    address.setIpv4(ip, port);
  }
  check('bind', requireLibc().bind(descriptor, address.bytes, address.length[0] ?? 0));
}

/** Sets an option that is an int. Throws an error with the system's code. See setsockopt(2). */
export function setOption(descriptor: number, level: number, name: number, value: number): void {
  const memory = new Int32Array(new ArrayBuffer(4)).fill(value);
  check('setsockopt', requireLibc().setsockopt(descriptor, level, name, new Uint8Array(memory.buffer), 4));
}

/** Beyond net.core.wmem_max only with CAP_NET_ADMIN. See SO_SNDBUFFORCE in socket(7). */
function enlargeSendBuffer(descriptor: number): void {
  const bytes = new Uint8Array(new Int32Array(new ArrayBuffer(4)).fill(sendBufferBytes).buffer);
  if (requireLibc().setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, bytes, 4) !== 0)
    setOption(descriptor, SOL_SOCKET, SO_SNDBUF, sendBufferBytes);
}

/** The size of a socket's send buffer in bytes, as the kernel accounts for it. See SO_SNDBUF in socket(7). */
export function readSendBuffer(descriptor: number): number {
  return readOption(descriptor, SOL_SOCKET, SO_SNDBUF) ?? 0;
}

/** Returns an option that is an int, or undefined if the descriptor has none. */
export function readOption(descriptor: number, level: number, name: number): number | undefined {
  const memory = new Int32Array(new ArrayBuffer(4));
  const length = new Uint32Array(new ArrayBuffer(4)).fill(4);
  const result = requireLibc().getsockopt(descriptor, level, name, new Uint8Array(memory.buffer), length);
  return result === 0 && length[0] === 4 ? memory[0] : undefined;
}
