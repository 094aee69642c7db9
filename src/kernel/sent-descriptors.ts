import { constants } from 'node:os';
import { type Libc, libc, type Pointer } from './libc.ts';
import { AF_UNIX } from './socket-address.ts';
import { readOption, refuseDescriptors, SO_OOBINLINE, SO_PASSRIGHTS, SOL_SOCKET } from './sockets.ts';

// bits/socket.h, asm-generic/socket.h
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SO_PASSSEC = 34;
const SO_PEEK_OFF = 42;
const SO_PASSPIDFD = 76;
const SO_PASSCRED = process.arch === 'ppc64' ? 20 : 16;
const SCM_RIGHTS = 1;
const SHUT_RDWR = 2;
const MSG_PEEK = 2;
const MSG_CTRUNC = 8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const { EAGAIN } = constants.errno;

// Sizes and offsets on 64-bit Linux: recvmmsg(2), readv(2), cmsg(3).
const iovLengthOffset = 8;
const headerOffset = 16;
const mmsghdrBytes = 64;
const iovOffset = headerOffset + 16;
const iovCountOffset = headerOffset + 24;
const controlOffset = headerOffset + 32;
const controlLengthOffset = headerOffset + 40;
const flagsOffset = headerOffset + 48;
const lengthOffset = headerOffset + 56;
const cmsgOffset = headerOffset + mmsghdrBytes;
const cmsgBytes = 24;
const bytesOffset = cmsgOffset + cmsgBytes;
const bufferBytes = 16 * 1024;

/** The send buffer of the client bounds its queue. This is far beyond, for a client that keeps sending. */
const mostLooks = 10_000;

/** A pending error of the socket is reported once, before what is queued. */
const mostErrors = 2;

/** One message, with room for a descriptor, and its bytes. Permanent, because the kernel knows its address. */
class Message {
  readonly #libc: Libc;
  readonly #view: DataView;
  readonly #address: bigint;

  constructor(functions: Libc) {
    const { address, buffer } = functions.allocate(bytesOffset + bufferBytes);
    this.#libc = functions;
    this.#view = new DataView(buffer);
    this.#address = address;
    this.#setWord(0, this.#address + BigInt(bytesOffset));
    this.#setWord(iovOffset, this.#address);
    this.#setWord(iovCountOffset, 1n);
  }

  /**
   * Looks at what is queued from the socket's SO_PEEK_OFF on. Returns how many bytes it saw, which end where the next
   * message with other descriptors begins, and whether descriptors came with them; below 0, an error.
   */
  peek(descriptor: number): { readonly length: number; readonly hasDescriptors: boolean } {
    this.#prepare(bufferBytes, 0n, 0);
    const result = this.#libc.recvmmsg(descriptor, this.#header, 1, MSG_PEEK | MSG_DONTWAIT, null);
    if (result !== 1) return { length: -this.#libc.errno(), hasDescriptors: false };
    const flags = this.#view.getInt32(flagsOffset, true);
    return { length: this.#view.getInt32(lengthOffset, true), hasDescriptors: (flags & MSG_CTRUNC) !== 0 };
  }

  /** Sends a byte with a descriptor. Returns 0, or an error, negated. */
  send(socket: number, descriptor: number): number {
    this.#prepare(1, this.#address + BigInt(cmsgOffset), cmsgBytes);
    this.#setWord(cmsgOffset, 20n);
    this.#view.setInt32(cmsgOffset + 8, SOL_SOCKET, true);
    this.#view.setInt32(cmsgOffset + 12, SCM_RIGHTS, true);
    this.#view.setInt32(cmsgOffset + 16, descriptor, true);
    const result = this.#libc.sendmmsg(socket, this.#header, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    return result === 1 ? 0 : -this.#libc.errno();
  }

  get #header(): Pointer {
    return this.#address + BigInt(headerOffset);
  }

  #prepare(bytes: number, control: bigint, controlLength: number): void {
    this.#setWord(iovLengthOffset, BigInt(bytes));
    this.#setWord(controlOffset, control);
    this.#setWord(controlLengthOffset, BigInt(controlLength));
    this.#view.setInt32(flagsOffset, 0, true);
  }

  #setWord(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, value, true);
  }
}

let shared: Message | undefined;

/** The end of a pair of sockets that nobody reads. */
let keeper: number | undefined;

/**
 * Whether a client of a UNIX listener has sent descriptors before the listener refused them (`refuseDescriptors`), as
 * the client can for whom a service manager starts this process. Reading its messages, or the last close of its socket,
 * closes these descriptors, which can take as long as their sender likes. From now on the client can send none. Call
 * before anything is read. Always false before Linux 6.16, and without koffi.
 */
export function bringsDescriptors(descriptor: number): boolean {
  if (libc === undefined || readOption(descriptor, SOL_SOCKET, SO_PASSRIGHTS) !== 1) return false;
  // From here on the queue gets no more of them, so that what follows sees all.
  refuseDescriptors(descriptor);
  // What a listener may have had its clients send along would look the same.
  for (const name of [SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD]) setInt(libc, descriptor, name, 0);
  // They may also come with an urgent byte, which would be skipped.
  const isInline = readOption(descriptor, SOL_SOCKET, SO_OOBINLINE) ?? 0;
  setInt(libc, descriptor, SO_OOBINLINE, 1);
  if (!setInt(libc, descriptor, SO_PEEK_OFF, 0)) return true;
  const result = seesDescriptors(libc, descriptor);
  setInt(libc, descriptor, SO_PEEK_OFF, -1);
  setInt(libc, descriptor, SO_OOBINLINE, isInline);
  return result;
}

/**
 * Ends a connection of a client that `bringsDescriptors`, and has the kernel keep it unread until this process ends,
 * which waits for nothing. Returns whether it does: then the descriptor can be closed, because that is not the last
 * close. Otherwise it must stay open.
 */
export function setAside(descriptor: number): boolean {
  if (libc === undefined) return false;
  libc.shutdown(descriptor, SHUT_RDWR);
  shared ??= new Message(libc);
  keeper ??= openKeeper(libc);
  if (keeper === undefined) return false;
  let result = shared.send(keeper, descriptor);
  if (result === -EAGAIN) {
    // It is full.
    keeper = openKeeper(libc) ?? keeper;
    result = shared.send(keeper, descriptor);
  }
  return result === 0;
}

function seesDescriptors(functions: Libc, descriptor: number): boolean {
  shared ??= new Message(functions);
  let errors = 0;
  for (let looks = 0; looks < mostLooks; looks += 1) {
    const { length, hasDescriptors } = shared.peek(descriptor);
    if (hasDescriptors) return true;
    if (length === 0 || length === -EAGAIN) return false;
    if (length < 0) errors += 1;
    if (errors > mostErrors) return true;
  }
  return true;
}

/** Both ends stay open, without names, as long as this process lives. */
function openKeeper(functions: Libc): number | undefined {
  const ends = new Int32Array(new ArrayBuffer(8));
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return functions.socketpair(AF_UNIX, type, 0, new Uint8Array(ends.buffer)) === 0 ? ends[0] : undefined;
}

function setInt(functions: Libc, descriptor: number, name: number, value: number): boolean {
  const bytes = new Uint8Array(new Int32Array(new ArrayBuffer(4)).fill(value).buffer);
  return functions.setsockopt(descriptor, SOL_SOCKET, name, bytes, 4) === 0;
}
