import { closeSync } from 'node:fs';
import type { IpAddress } from '../address/ip-address.ts';
import type { Libc } from './libc.ts';
import { AF_INET, AF_INET6, ipv6At } from './socket-address.ts';

// bits/socket.h, linux/netlink.h
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const NETLINK_ROUTE = 0;
const MSG_DONTWAIT = 0x40;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;

const headerBytes = 16;
const attributeBytes = 4;
/** The kernel fills at most 32 KiB in one call. */
const bufferBytes = 65_536;
/** What to ask for, see rtnetlink(7). */
export interface DumpedTable {
  /** RTM_GET… */
  readonly request: number;
  /** RTM_NEW… */
  readonly answer: number;
  /** Of the structure between the header of a message and its attributes. */
  readonly bodyBytes: number;
  /** Reads for one answer, each up to 32 KiB. A table may have a million entries, and reading blocks the event loop. */
  readonly mostReads: number;
}

/** Lists a table of the kernel's over netlink(7), in the network namespace of this process. */
export class NetlinkDump {
  readonly #libc: Libc;
  readonly #address: bigint;
  readonly #table: DumpedTable;
  readonly #request: Uint8Array;
  /** The answer. */
  readonly view: DataView;

  constructor(functions: Libc, table: DumpedTable) {
    this.#libc = functions;
    this.#table = table;
    const { address, buffer } = functions.allocate(bufferBytes);
    this.#address = address;
    this.view = new DataView(buffer);
    // `struct nlmsghdr`, and a body of zeros, which asks for all families.
    this.#request = new Uint8Array(headerBytes + table.bodyBytes);
    const header = new DataView(this.#request.buffer);
    header.setUint32(0, this.#request.length, true);
    header.setUint16(4, table.request, true);
    header.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
  }

  /**
   * Calls `visit` with the positions of each entry in `view`: of its body, its first attribute, and its end. Visits
   * nothing if the system does not tell, as in a sandbox without AF_NETLINK, and not all of a very large table.
   */
  read(visit: (body: number, attributes: number, end: number) => void): void {
    const descriptor = this.#libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0) return;
    try {
      if (this.#libc.send(descriptor, this.#request, this.#request.length, MSG_DONTWAIT) < 0) return;
      // The kernel makes the next part of its answer as we read.
      for (let read = 0; read < this.#table.mostReads; read += 1) {
        const length = this.#libc.recv(descriptor, this.#address, bufferBytes, MSG_DONTWAIT);
        if (length <= 0 || !this.#visitMessages(length, visit)) return;
      }
    } finally {
      closeSync(descriptor);
    }
  }

  /** Calls `visit` with type, position and size of each attribute between these positions. */
  eachAttribute(start: number, end: number, visit: (type: number, data: number, bytes: number) => void): void {
    for (let at = start; at + attributeBytes <= end; ) {
      const size = this.view.getUint16(at, true);
      if (size < attributeBytes || at + size > end) return;
      visit(this.view.getUint16(at + 2, true), at + attributeBytes, size - attributeBytes);
      at += (size + 3) & ~3;
    }
  }

  /** The address in an attribute, or undefined if that is of another family or length. */
  addressAt(family: number, data: number, bytes: number): IpAddress | undefined {
    if (family === AF_INET && bytes === 4) return { w0: 0, w1: 0, w2: 0xffff, w3: this.view.getUint32(data) };
    if (family === AF_INET6 && bytes === 16) return ipv6At(this.view, data);
    return undefined;
  }

  /** Returns false at the end of the answer. */
  #visitMessages(length: number, visit: (body: number, attributes: number, end: number) => void): boolean {
    const { answer, bodyBytes } = this.#table;
    for (let at = 0; at + headerBytes <= length; ) {
      const size = this.view.getUint32(at, true);
      if (size < headerBytes || at + size > length) return false;
      // NLMSG_DONE and NLMSG_ERROR end it.
      if (this.view.getUint16(at + 4, true) !== answer) return false;
      const body = at + headerBytes;
      if (body + bodyBytes <= at + size) visit(body, body + bodyBytes, at + size);
      at += (size + 3) & ~3;
    }
    return true;
  }
}
