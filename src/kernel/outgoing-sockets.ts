import { constants } from 'node:os';
import { requireLibc } from './libc.ts';
import { AF_INET, AF_INET6, SocketAddress } from './socket-address.ts';
import { type InetAddress, opened, setOption } from './sockets.ts';
import { systemError } from './system-error.ts';

// bits/socket.h, linux/in.h, linux/in6.h
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const IPPROTO_IP = 0;
const IP_RECVERR = 11;
const IPPROTO_IPV6 = 41;
const IPV6_RECVERR = 25;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

const { EINPROGRESS, EINTR } = constants.errno;

/**
 * Opens a UDP socket that receives only from `peer`, and has ICMP errors in its error queue. An IPv6 socket can also
 * have an IPv4-mapped peer. `localPort` 0: the kernel chooses. Throws an error with the system's code. See udp(7).
 */
export function connectUdp(peer: InetAddress, localPort: number, receiveBufferBytes: number): number {
  return opened(domainOf(peer), SOCK_DGRAM, (descriptor) => {
    setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes);
    queueErrors(descriptor, peer.family, true);
    if (localPort !== 0) bindPort(descriptor, peer.family, localPort);
    connect(descriptor, peer);
  });
}

/**
 * Opens a TCP socket and starts connecting it. It becomes writable at the end of the attempt, and then has the error in
 * SO_ERROR, and the ICMP message that caused it in its error queue. See tcp(7).
 */
export function startTcp(peer: InetAddress, localPort: number): number {
  return opened(domainOf(peer), SOCK_STREAM, (descriptor) => {
    setOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    queueErrors(descriptor, peer.family, true);
    if (localPort !== 0) bindPort(descriptor, peer.family, localPort);
    connect(descriptor, peer);
  });
}

/**
 * Turns the error queue on or off. A TCP connection that is established must not have one: each ICMP message would end
 * it, where the kernel otherwise tries again. See IP_RECVERR in ip(7).
 */
export function queueErrors(descriptor: number, family: 'ipv4' | 'ipv6', isWanted: boolean): void {
  // Errors about IPv4-mapped peers of an IPv6 socket obey the option of IPv4.
  setOption(descriptor, IPPROTO_IP, IP_RECVERR, isWanted ? 1 : 0);
  if (family === 'ipv6') setOption(descriptor, IPPROTO_IPV6, IPV6_RECVERR, isWanted ? 1 : 0);
}

function domainOf({ family }: InetAddress): number {
  return family === 'ipv6' ? AF_INET6 : AF_INET;
}

const anyAddress = { w0: 0, w1: 0, w2: 0, w3: 0 } as const;

function bindPort(descriptor: number, family: 'ipv4' | 'ipv6', port: number): void {
  const address = new SocketAddress();
  if (family === 'ipv6') address.setIpv6(anyAddress, port, 0);
  else address.setIpv4(anyAddress, port);
  if (requireLibc().bind(descriptor, address.bytes, address.length[0] ?? 0) < 0) throw systemError('bind');
}

function connect(descriptor: number, { family, ip, port, interfaceIndex }: InetAddress): void {
  const address = new SocketAddress();
  if (family === 'ipv6') address.setIpv6(ip, port, interfaceIndex);
  else address.setIpv4(ip, port);
  const libc = requireLibc();
  if (libc.connect(descriptor, address.bytes, address.length[0] ?? 0) === 0) return;
  const number = libc.errno();
  // Interrupted, it goes on: connect(2).
  if (number !== EINPROGRESS && number !== EINTR) throw systemError('connect', number);
}
