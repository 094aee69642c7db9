import { isLinkLocalIpv6, type IpAddress } from '../address/ip-address.ts';
import { type Libc, type Pointer, requireLibc } from './libc.ts';
import { AF_INET, AF_INET6, ipv6At } from './socket-address.ts';

// bits/socket.h, linux/in.h, linux/in6.h
const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;
const IPPROTO_IP = 0;
const IP_RECVERR = 11;
const IPPROTO_IPV6 = 41;
const IPV6_RECVERR = 25;
// linux/errqueue.h
const SO_EE_ORIGIN_ICMP = 2;
const SO_EE_ORIGIN_ICMP6 = 3;

// Sizes and offsets on 64-bit Linux: recvmmsg(2), readv(2), cmsg(3).
const mmsghdrBytes = 64;
const iovOffset = 16;
const iovLengthOffset = 24;
const controlOffset = 32;
const controlLengthOffset = 40;
const messageLengthOffset = 56;
const iovecBytes = 16;
const cmsghdrBytes = 16;
/** Room for the control data, and for the start of the packet that an error is about. */
const controlBytes = 512;
const quotedBytes = 64;
/** One block of memory: `struct mmsghdr`, `struct iovec`, the control data, the quoted packet. */
const iovecStart = mmsghdrBytes;
const controlStart = iovecStart + iovecBytes;
const quotedStart = controlStart + controlBytes;
const blockBytes = quotedStart + quotedBytes;
/** `struct sock_extended_err`. The address of whoever reported the error follows. */
const extendedBytes = 16;

/** An ICMP message about a packet that a socket has sent. */
export interface IcmpReport {
  /** The error number that the kernel derives from it. */
  readonly errno: number;
  readonly version: 'icmp' | 'icmp6';
  readonly type: number;
  readonly code: number;
  /** The MTU of the next hop if the packet was too big for it. */
  readonly mtu: number;
  /** Who sent it, with the zone of a link-local address. Undefined if the kernel does not tell. */
  readonly from: IpAddress | undefined;
  /** How the payload of the packet began, as far as the message quotes it: 0 to 64 bytes. */
  readonly quoted: Uint8Array;
}

/** A datagram that this machine did not send: the call that failed has returned the error as well. */
export interface LocalReport {
  readonly errno: number;
  readonly version: 'local';
  /** The MTU of the interface, or what the kernel knows of the path, if the datagram was too big for it. */
  readonly mtu: number;
}

/** Reads the error queues of sockets that have one: see IP_RECVERR in ip(7). */
export class ErrorQueue {
  readonly #libc: Libc;
  readonly #pointer: Pointer;
  readonly #view: DataView;

  constructor(functions: Libc) {
    this.#libc = functions;
    const { address, buffer } = functions.allocate(blockBytes);
    this.#pointer = address;
    this.#view = new DataView(buffer);
    this.#view.setBigUint64(iovOffset, address + BigInt(iovecStart), true);
    this.#view.setBigUint64(iovLengthOffset, 1n, true);
    this.#view.setBigUint64(controlOffset, address + BigInt(controlStart), true);
    this.#view.setBigUint64(iovecStart, address + BigInt(quotedStart), true);
    this.#view.setBigUint64(iovecStart + 8, BigInt(quotedBytes), true);
  }

  /** Takes the next error. Undefined if the queue is empty. */
  take(descriptor: number): IcmpReport | LocalReport | undefined {
    this.#view.setBigUint64(controlLengthOffset, BigInt(controlBytes), true);
    const flags = MSG_ERRQUEUE | MSG_DONTWAIT;
    if (this.#libc.recvmmsg(descriptor, this.#pointer, 1, flags, null) !== 1) return undefined;
    const end = controlStart + Math.min(this.#view.getUint32(controlLengthOffset, true), controlBytes);
    for (let at = controlStart; at + cmsghdrBytes <= end; ) {
      const length = this.#view.getUint32(at, true);
      if (length < cmsghdrBytes || at + length > end) break;
      if (this.#isError(at) && length >= cmsghdrBytes + extendedBytes)
        return this.#read(at + cmsghdrBytes, at + length);
      at += (length + 7) & ~7;
    }
    return unknownReport;
  }

  #isError(at: number): boolean {
    const [level, type] = [this.#view.getInt32(at + 8, true), this.#view.getInt32(at + 12, true)];
    return (level === IPPROTO_IP && type === IP_RECVERR) || (level === IPPROTO_IPV6 && type === IPV6_RECVERR);
  }

  #read(at: number, end: number): IcmpReport | LocalReport {
    const view = this.#view;
    const origin = view.getUint8(at + 4);
    const [errno, mtu] = [view.getUint32(at, true), view.getUint32(at + 8, true)];
    if (origin !== SO_EE_ORIGIN_ICMP && origin !== SO_EE_ORIGIN_ICMP6) return { errno, version: 'local', mtu };
    const length = Math.min(view.getUint32(messageLengthOffset, true), quotedBytes);
    return {
      errno,
      version: origin === SO_EE_ORIGIN_ICMP ? 'icmp' : 'icmp6',
      type: view.getUint8(at + 5),
      code: view.getUint8(at + 6),
      mtu,
      from: this.#addressAt(at + extendedBytes, end),
      quoted: new Uint8Array(view.buffer, quotedStart, length).slice(),
    };
  }

  #addressAt(at: number, end: number): IpAddress | undefined {
    const view = this.#view;
    const family = at + 2 <= end ? view.getUint16(at, true) : 0;
    if (family === AF_INET && at + 8 <= end) return { w0: 0, w1: 0, w2: 0xffff, w3: view.getUint32(at + 4) };
    if (family !== AF_INET6 || at + 28 > end) return undefined;
    const ip = ipv6At(view, at + 8);
    return isLinkLocalIpv6(ip) ? { ...ip, zone: view.getUint32(at + 24, true) } : ip;
  }
}

/** An entry without an error. */
const unknownReport: LocalReport = { errno: 0, version: 'local', mtu: 0 };

let shared: ErrorQueue | undefined;

/** The reader of this process. */
export function errorQueue(): ErrorQueue {
  shared ??= new ErrorQueue(requireLibc());
  return shared;
}
