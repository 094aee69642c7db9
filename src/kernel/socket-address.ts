import type { IpAddress } from '../address/ip-address.ts';
import { assertWithin } from './arguments.ts';

// bits/socket.h
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** `struct sockaddr_storage`: room for an address of any family. */
const storageBytes = 128;

/** Size of `struct sockaddr_in`. */
const inetBytes = 16;
/** Size of `struct sockaddr_in6`. */
const inet6Bytes = 28;
/** Offset of `sun_path`, and its size, which includes the closing 0. */
const pathOffset = 2;
const pathBytes = 108;

/**
 * The memory of one socket address for the kernel: `struct sockaddr_in` (ip(7)), `sockaddr_in6` (ipv6(7)) or
 * `sockaddr_un` (unix(7)). The family is in the byte order of the machine, little-endian wherever libc is used; port
 * and address are in network byte order.
 */
export class SocketAddress {
  readonly bytes = new Uint8Array(new ArrayBuffer(storageBytes));
  /** Size of the address in bytes: of what was set, or of what the kernel filled in, which may be more than fits. */
  readonly length = new Uint32Array(new ArrayBuffer(4));
  readonly #view = new DataView(this.bytes.buffer);

  /** Makes room for an address from the kernel. */
  clear(): this {
    this.bytes.fill(0);
    this.length[0] = storageBytes;
    return this;
  }

  setIpv4({ w3 }: IpAddress, port: number): this {
    assertPort(port);
    this.clear();
    this.#view.setUint16(0, AF_INET, true);
    this.#view.setUint16(2, port);
    this.#view.setUint32(4, w3);
    this.length[0] = inetBytes;
    return this;
  }

  /** `interfaceIndex` is the zone of a link-local address, and else 0. */
  setIpv6({ w0, w1, w2, w3 }: IpAddress, port: number, interfaceIndex: number): this {
    assertPort(port);
    this.clear();
    this.#view.setUint16(0, AF_INET6, true);
    this.#view.setUint16(2, port);
    [w0, w1, w2, w3].forEach((word, index) => this.#view.setUint32(8 + 4 * index, word));
    this.#view.setUint32(24, interfaceIndex, true);
    this.length[0] = inet6Bytes;
    return this;
  }

  /** A path in the file system. Throws `ENAMETOOLONG` if it has more than 107 bytes, and `EINVAL` if it is empty. */
  setPath(path: string): this {
    const encoded = Buffer.from(path);
    if (encoded.length >= pathBytes) throw Object.assign(new Error('bind ENAMETOOLONG'), { code: 'ENAMETOOLONG' });
    // Without a path the kernel would choose a name, and one that starts with 0 is abstract: no file, no permissions.
    if (encoded.length === 0 || encoded.includes(0)) throw Object.assign(new Error('bind EINVAL'), { code: 'EINVAL' });
    this.clear();
    this.#view.setUint16(0, AF_UNIX, true);
    this.bytes.set(encoded, pathOffset);
    this.length[0] = pathOffset + encoded.length + 1;
    return this;
  }

  /** The address family, or 0 if there is none. */
  get family(): number {
    return this.#size < pathOffset ? 0 : this.#view.getUint16(0, true);
  }

  /** The IPv4 or IPv6 address. The IPv4 address of an IPv6 socket is given as IPv4. */
  get ip(): IpAddress {
    if (this.family === AF_INET) return { w0: 0, w1: 0, w2: 0xffff, w3: this.#view.getUint32(4) };
    return ipv6At(this.#view, 8);
  }

  /** The same, with the zone of a link-local address. */
  get source(): IpAddress {
    const { ip, interfaceIndex } = this;
    return interfaceIndex === 0 ? ip : { ...ip, zone: interfaceIndex };
  }

  get port(): number {
    return this.#view.getUint16(2);
  }

  /** The zone of a link-local IPv6 address, and else 0. */
  get interfaceIndex(): number {
    return this.family === AF_INET6 ? this.#view.getUint32(24, true) : 0;
  }

  /** The path of a UNIX socket. Empty if it has none, or an abstract name. */
  get path(): string {
    const path = this.bytes.subarray(pathOffset, this.#size);
    const end = path.indexOf(0);
    return Buffer.from(end < 0 ? path : path.subarray(0, end)).toString();
  }

  /** The kernel may report more than it has stored. */
  get #size(): number {
    return Math.min(this.length[0] ?? 0, storageBytes);
  }
}

function assertPort(port: number): void {
  assertWithin('port', port, 0, 65_535);
}

/** Reads an IPv6 address in network byte order, 16 bytes. */
export function ipv6At(view: DataView, offset: number): IpAddress {
  return {
    w0: view.getUint32(offset),
    w1: view.getUint32(offset + 4),
    w2: view.getUint32(offset + 8),
    w3: view.getUint32(offset + 12),
  };
}
