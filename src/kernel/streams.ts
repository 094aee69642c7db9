import { constants } from 'node:os';
import { type Libc, requireLibc } from './libc.ts';
import { SocketAddress } from './socket-address.ts';

// bits/socket.h
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SHUT_WR = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_MORE = 0x8000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_LINGER = 13;
// linux/sockios.h, asm-generic/ioctls.h
const SIOCOUTQ = 0x5411;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;

// struct tcp_info in linux/tcp.h.
const rttOffset = 68;
const totalRetransOffset = 100;
const tcpInfoBytes = 104;

const { EAGAIN, EINTR } = constants.errno;

/** The most bytes that one call of `receive` reads. */
const arenaBytes = 64 * 1024;

/** What the kernel has found out about the path of a TCP connection. */
export interface TcpInfo {
  /** Smoothed round trip time, to a microsecond. */
  readonly rttMs: number;
  /** Segments that were sent again. */
  readonly retransmits: number;
}

/** Calls for stream sockets: tcp(7), unix(7). All return at once. Results below 0 are errors: the number, negated. */
export class Streams {
  readonly #libc: Libc;
  /** What `receive` has read, until its next call. */
  readonly arena: Buffer;
  readonly #arenaAddress: bigint;
  /** The peer of the client that was accepted last. */
  readonly peer: SocketAddress = new SocketAddress();
  /** For options of 4 and 8 bytes. Permanent, because the kernel writes to it. */
  readonly #option = new Int32Array(new ArrayBuffer(8));
  readonly #optionBytes = new Uint8Array(this.#option.buffer);
  readonly #optionLength = new Uint32Array(new ArrayBuffer(4));
  readonly #count: Int32Array;
  readonly #countAddress: bigint;
  readonly #tcpInfo = new Uint32Array(new ArrayBuffer(tcpInfoBytes));
  readonly #tcpInfoBytes = new Uint8Array(this.#tcpInfo.buffer);

  constructor(functions: Libc) {
    this.#libc = functions;
    const { address, buffer } = functions.allocate(arenaBytes);
    this.arena = Buffer.from(buffer);
    this.#arenaAddress = address;
    const count = functions.allocate(4);
    this.#count = new Int32Array(count.buffer);
    this.#countAddress = count.address;
  }

  /** Accepts a client. Returns its descriptor, and has its address in `peer`. See accept4(2). */
  accept(listener: number): number {
    const { bytes, length } = this.peer.clear();
    return this.#checked(this.#libc.accept4(listener, bytes, length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }

  /** Reads into `arena`. Returns how many bytes; 0 if the peer has sent its FIN. See recv(2). */
  receive(descriptor: number): number {
    return this.#checked(this.#libc.recv(descriptor, this.#arenaAddress, arenaBytes, MSG_DONTWAIT));
  }

  /** Returns how many bytes the kernel took. `hasMore`: it may wait for what follows. See send(2). */
  send(descriptor: number, bytes: Uint8Array, hasMore: boolean): number {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL | (hasMore ? MSG_MORE : 0);
    return this.#checked(this.#libc.send(descriptor, bytes, bytes.length, flags));
  }

  /** Sends our FIN. See shutdown(2). */
  finish(descriptor: number): void {
    this.#libc.shutdown(descriptor, SHUT_WR);
  }

  /**
   * Returns how many bytes the peer of a TCP socket has not acknowledged, where our FIN counts as one. See SIOCOUTQ in
   * tcp(7). For a UDP socket: how much of the send buffer is in use.
   */
  countUnacknowledged(descriptor: number): number {
    const result = this.#libc.ioctl(descriptor, SIOCOUTQ, this.#countAddress);
    return result < 0 ? 0 : (this.#count[0] ?? 0);
  }

  /** Takes the error that ended a connection, negated; 0 if there is none. See SO_ERROR in socket(7). */
  takeError(descriptor: number): number {
    this.#option[0] = 0;
    this.#optionLength[0] = 4;
    this.#libc.getsockopt(descriptor, SOL_SOCKET, SO_ERROR, this.#optionBytes, this.#optionLength);
    return -(this.#option[0] ?? 0);
  }

  /** Returns undefined if it is not a TCP connection. See TCP_INFO in tcp(7). */
  tcpInfo(descriptor: number): TcpInfo | undefined {
    this.#optionLength[0] = tcpInfoBytes;
    const info = this.#tcpInfoBytes;
    const result = this.#libc.getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, this.#optionLength);
    if (result !== 0 || this.#optionLength[0] !== tcpInfoBytes) return undefined;
    const [rttUs = 0, retransmits = 0] = [this.#tcpInfo[rttOffset / 4], this.#tcpInfo[totalRetransOffset / 4]];
    return { rttMs: rttUs / 1000, retransmits };
  }

  /** Makes the close of a TCP socket a reset, so that the kernel keeps nothing for it. See SO_LINGER in socket(7). */
  resetOnClose(descriptor: number): void {
    this.#option[0] = 1;
    this.#option[1] = 0;
    this.#libc.setsockopt(descriptor, SOL_SOCKET, SO_LINGER, this.#optionBytes, 8);
  }

  #checked(result: number): number {
    return result < 0 ? -this.#libc.errno() : result;
  }
}

/** Whether an error only says that the call would have had to wait. */
export function isWait(error: number): boolean {
  return error === -EAGAIN || error === -EINTR;
}

let shared: Streams | undefined;

/** The calls of this process. */
export function streams(): Streams {
  shared ??= new Streams(requireLibc());
  return shared;
}
