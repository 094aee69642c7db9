import { closeSync } from 'node:fs';
import type { IpAddress } from '../address/ip-address.ts';
import { type Libc, requireLibc } from './libc.ts';
import { AF_INET, AF_INET6, ipv6At } from './socket-address.ts';

// bits/socket.h, linux/netlink.h, linux/rtnetlink.h, linux/neighbour.h
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const NETLINK_ROUTE = 0;
const MSG_DONTWAIT = 0x40;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;
const NDA_DST = 1;
/** NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_NOARP and NUD_PERMANENT: the kernel has a link address. */
const NUD_VALID = 2 | 4 | 8 | 16 | 64 | 128;

const headerBytes = 16;
const ndmsgBytes = 12;
const attributeBytes = 4;
/** The kernel fills at most 32 KiB in one call. */
const bufferBytes = 65_536;

/**
 * The hosts on our links of which the kernel knows the link address (ARP, NDP): whatever is sent to any other waits
 * for up to three seconds for an answer. See rtnetlink(7).
 */
export class Neighbors {
  readonly #libc: Libc;
  readonly #address: bigint;
  readonly #view: DataView;

  constructor(functions: Libc) {
    this.#libc = functions;
    const { address, buffer } = functions.allocate(bufferBytes);
    this.#address = address;
    this.#view = new DataView(buffer);
  }

  /** Calls `found` for each. Finds nobody if the system does not tell, as in a sandbox without AF_NETLINK. */
  read(found: (ip: IpAddress) => void): void {
    const descriptor = this.#libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0) return;
    try {
      if (this.#libc.send(descriptor, request, request.length, MSG_DONTWAIT) < 0) return;
      // The kernel makes the next part of its answer as we read.
      for (;;) {
        const length = this.#libc.recv(descriptor, this.#address, bufferBytes, MSG_DONTWAIT);
        if (length <= 0 || !this.#readMessages(length, found)) return;
      }
    } finally {
      closeSync(descriptor);
    }
  }

  /** Returns false at the end of the answer. */
  #readMessages(length: number, found: (ip: IpAddress) => void): boolean {
    for (let at = 0; at + headerBytes <= length; ) {
      const size = this.#view.getUint32(at, true);
      if (size < headerBytes || at + size > length) return false;
      // NLMSG_DONE and NLMSG_ERROR end it.
      if (this.#view.getUint16(at + 4, true) !== RTM_NEWNEIGH) return false;
      this.#readNeighbor(at + headerBytes, at + size, found);
      at += (size + 3) & ~3;
    }
    return true;
  }

  #readNeighbor(start: number, end: number, found: (ip: IpAddress) => void): void {
    if (start + ndmsgBytes > end || (this.#view.getUint16(start + 8, true) & NUD_VALID) === 0) return;
    const family = this.#view.getUint8(start);
    for (let at = start + ndmsgBytes; at + attributeBytes <= end; ) {
      const size = this.#view.getUint16(at, true);
      if (size < attributeBytes || at + size > end) return;
      if (this.#view.getUint16(at + 2, true) === NDA_DST) {
        const data = at + attributeBytes;
        if (family === AF_INET && size === attributeBytes + 4)
          found({ w0: 0, w1: 0, w2: 0xffff, w3: this.#view.getUint32(data) });
        if (family === AF_INET6 && size === attributeBytes + 16) found(ipv6At(this.#view, data));
      }
      at += (size + 3) & ~3;
    }
  }
}

/** Asks for all neighbors: `struct nlmsghdr`, `struct ndmsg`. */
const request = new Uint8Array(headerBytes + ndmsgBytes);
const header = new DataView(request.buffer);
header.setUint32(0, request.length, true);
header.setUint16(4, RTM_GETNEIGH, true);
header.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);

let shared: Neighbors | undefined;

/** The neighbors of this machine. */
export function neighbors(): Neighbors {
  shared ??= new Neighbors(requireLibc());
  return shared;
}
