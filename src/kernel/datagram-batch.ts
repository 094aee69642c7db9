import { type IpAddress, isLinkLocalIpv6 } from '../address/ip-address.ts';
import { type Libc, type Pointer, requireLibc } from './libc.ts';
import { AF_INET, AF_INET6, ipv6At } from './socket-address.ts';

/** Datagrams in one call. More would not be faster, and would keep other sockets waiting. */
const slots = 64;

/** The largest UDP payload has 65,527 bytes. */
const requestBytes = 65_536;

/** Room for the replies of a batch, or for at least 15 of the largest. When it is full, they are sent. */
const replyBytes = 1 << 20;

// Sizes and offsets on 64-bit Linux: recvmmsg(2), readv(2), cmsg(3), ip(7), ipv6(7).
const nameBytes = 32;
/** More than ours need: the creator of an inherited socket may have asked for more control data. */
const controlBytes = 512;
const iovecBytes = 16;
const mmsghdrBytes = 64;
const nameLengthOffset = 8;
const iovOffset = 16;
const iovLengthOffset = 24;
const controlOffset = 32;
const controlLengthOffset = 40;
const messageLengthOffset = 56;
const cmsghdrBytes = 16;

const inetBytes = 16;
const inet6Bytes = 28;
const pktinfoBytes = 12;
const pktinfo6Bytes = 20;

const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_PKTINFO = 8;
const IPV6_PKTINFO = 50;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_RECVFRAGSIZE = 25;
const IPV6_RECVFRAGSIZE = 77;
const IPV6_HOPLIMIT = 52;
const IPV6_TCLASS = 67;
const SOL_SOCKET = 1;
const SCM_TIMESTAMPNS = 35;
const MSG_DONTWAIT = 0x40;

/** The control data that names the source address of a reply. */
const replyControl4 = cmsghdrBytes + pktinfoBytes;
const replyControl6 = cmsghdrBytes + pktinfo6Bytes;
/** The control data that sets its traffic class, an int, padded to 8 bytes. */
const classControl = cmsghdrBytes + 4;
const classControlSpace = cmsghdrBytes + 8;
/** Holds both: 40 bytes over IPv6, and 24. */
const replyControlBytes = 64;

/** Memory whose address the kernel knows. It is never freed, so no structure can outlive what it points to. */
interface Block {
  readonly address: number;
  readonly pointer: Pointer;
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** Where a reply goes, the address that it comes from, and its traffic class, as the kernel takes them. */
export interface ReturnPath {
  readonly name: Uint8Array;
  /** Empty if the kernel chooses the address and the class. */
  readonly control: Uint8Array;
}

/**
 * Receives datagrams in batches, tells for each where it came from and where it was sent to, and sends replies from
 * there. Its memory serves all sockets of the process in turn: what one `receive` returned is valid until the next.
 *
 * The socket must have IP_PKTINFO or IPV6_RECVPKTINFO set.
 */
export class DatagramBatch {
  readonly #libc: Libc;
  readonly #names: Block;
  readonly #controls: Block;
  readonly #requests: Block;
  readonly #received: Block;
  readonly #replies: Block;
  /** One for each queued reply, and one for `returnPath`. */
  readonly #replyControls: Block;
  readonly #lateNames: Block;
  readonly #replyVectors: Block;
  readonly #queued: Block;
  /** Offset in its control data of a request's packet information, or 0 if it has none. */
  readonly #pktinfo = new Uint8Array(slots);
  /** Which request each queued reply answers. */
  readonly #answered = new Uint8Array(slots);
  #count = 0;
  #queuedCount = 0;
  #queuedBytes = 0;

  constructor(functions: Libc) {
    this.#libc = functions;
    this.#names = block(functions, slots * nameBytes);
    this.#controls = block(functions, slots * controlBytes);
    this.#requests = block(functions, slots * requestBytes);
    const vectors = block(functions, slots * iovecBytes);
    this.#received = block(functions, slots * mmsghdrBytes);
    this.#replies = block(functions, replyBytes);
    this.#replyControls = block(functions, (slots + 1) * replyControlBytes);
    this.#lateNames = block(functions, slots * nameBytes);
    this.#replyVectors = block(functions, slots * iovecBytes);
    this.#queued = block(functions, slots * mmsghdrBytes);
    for (let index = 0; index < slots; index += 1) {
      setWord(vectors, index * iovecBytes, this.#requests.address + index * requestBytes);
      setWord(vectors, index * iovecBytes + 8, requestBytes);
      const header = index * mmsghdrBytes;
      setWord(this.#received, header, this.#names.address + index * nameBytes);
      setWord(this.#received, header + iovOffset, vectors.address + index * iovecBytes);
      setWord(this.#received, header + iovLengthOffset, 1);
      setWord(this.#received, header + controlOffset, this.#controls.address + index * controlBytes);
      setWord(this.#queued, header + iovOffset, this.#replyVectors.address + index * iovecBytes);
      setWord(this.#queued, header + iovLengthOffset, 1);
      setWord(this.#queued, header + controlOffset, this.#replyControls.address + index * replyControlBytes);
    }
  }

  /** Most datagrams that `receive` returns. */
  static readonly capacity = slots;

  /** Receives what is there, without waiting. Returns how many datagrams; 0 if there is none, or an error. */
  receive(descriptor: number): number {
    // Whatever somebody has queued and not sent belongs to other datagrams.
    this.discardQueued();
    const { view } = this.#received;
    for (let index = 0; index < slots; index += 1) {
      view.setUint32(index * mmsghdrBytes + nameLengthOffset, nameBytes, true);
      view.setUint32(index * mmsghdrBytes + controlLengthOffset, controlBytes, true);
    }
    // An error (EAGAIN, or a queued ICMP message) is no datagram. If it stays, the socket stays readable.
    this.#count = Math.max(0, this.#libc.recvmmsg(descriptor, this.#received.pointer, slots, MSG_DONTWAIT, null));
    for (let index = 0; index < this.#count; index += 1) this.#pktinfo[index] = this.#findPktinfo(index);
    return this.#count;
  }

  /** The bytes of a datagram: a view, valid until the next `receive`. */
  request(index: number): Buffer {
    const length = this.#received.view.getUint32(index * mmsghdrBytes + messageLengthOffset, true);
    const start = index * requestBytes;
    return this.#requests.bytes.subarray(start, start + Math.min(length, requestBytes));
  }

  /** The address of the source, with the zone of a link-local one. */
  source(index: number): IpAddress {
    const at = index * nameBytes;
    const { view } = this.#names;
    if (this.#familyOf(index) !== AF_INET6) return { w0: 0, w1: 0, w2: 0xffff, w3: view.getUint32(at + 4) };
    const ip = ipv6At(view, at + 8);
    return isLinkLocalIpv6(ip) ? { ...ip, zone: view.getUint32(at + 24, true) } : ip;
  }

  /** The port of the source, or 0 if the kernel gave none. */
  port(index: number): number {
    const family = this.#familyOf(index);
    return family === AF_INET || family === AF_INET6 ? this.#names.view.getUint16(index * nameBytes + 2) : 0;
  }

  /** The address in the header of the datagram, or undefined if the kernel did not give it. */
  destination(index: number): IpAddress | undefined {
    const at = this.#pktinfoOf(index);
    if (at === 0) return undefined;
    const { view } = this.#controls;
    if (this.#familyOf(index) === AF_INET6) return ipv6At(view, at);
    return { w0: 0, w1: 0, w2: 0xffff, w3: view.getUint32(at + 8) };
  }

  /** The time to live or hop limit of a datagram, if its socket tells it. */
  ttl(index: number): number | undefined {
    const at =
      this.#findControl(index, IPPROTO_IP, IP_TTL, 4) ?? this.#findControl(index, IPPROTO_IPV6, IPV6_HOPLIMIT, 4);
    return at === undefined ? undefined : this.#controls.view.getUint32(at, true) & 0xff;
  }

  /** The traffic class of a datagram, which IPv4 calls type of service, if its socket tells it. */
  trafficClass(index: number): number | undefined {
    const at =
      this.#findControl(index, IPPROTO_IP, IP_TOS, 1) ?? this.#findControl(index, IPPROTO_IPV6, IPV6_TCLASS, 4);
    // Over IPv4 one byte, over IPv6 an int.
    return at === undefined ? undefined : this.#controls.view.getUint8(at);
  }

  /** The largest fragment of a datagram that arrived in fragments: an IP packet, if its socket tells it. */
  fragmentBytes(index: number): number | undefined {
    const at =
      this.#findControl(index, IPPROTO_IP, IP_RECVFRAGSIZE, 4) ??
      this.#findControl(index, IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 4);
    return at === undefined ? undefined : this.#controls.view.getUint32(at, true);
  }

  /** When a datagram arrived, in microseconds since 1970, if its socket tells it. */
  receivedAtUs(index: number): number | undefined {
    const at = this.#findControl(index, SOL_SOCKET, SCM_TIMESTAMPNS, 16);
    if (at === undefined) return undefined;
    const { view } = this.#controls;
    const [seconds, nanoseconds] = [view.getBigInt64(at, true), view.getBigInt64(at + 8, true)];
    return Number(seconds) * 1e6 + Math.floor(Number(nanoseconds) / 1000);
  }

  /**
   * Whether it was sent to an address of this machine alone, as far as the kernel tells. For IPv4 it names our own
   * address next to the destination: they differ for broadcast and multicast, see IP_PKTINFO in ip(7).
   */
  isUnicast(index: number): boolean {
    const at = this.#pktinfoOf(index);
    if (at === 0) return true;
    const { view } = this.#controls;
    // ff00::/8 is multicast (RFC 4291 section 2.7).
    if (this.#familyOf(index) === AF_INET6) return view.getUint8(at) !== 0xff;
    const [own, destination] = [view.getUint32(at + 4), view.getUint32(at + 8)];
    // It names none for a datagram that arrived at an inherited socket before the option was set. Only 224/3 is sure.
    return own === destination || (own === 0 && destination >>> 29 !== 0b111);
  }

  /**
   * Queues a copy of a reply to a datagram. Returns false, and queues nothing, if there is no room: call `send` first.
   * `bytes` has at most 65,535 bytes. `trafficClass` is 0 to 255; without it, the socket's own holds.
   */
  reply(index: number, bytes: Uint8Array, trafficClass?: number): boolean {
    if (index >>> 0 !== index || index >= this.#count) throw new RangeError(`there is no datagram ${index}`);
    const slot = this.#queuedCount;
    if (!this.#hasRoom(bytes.length)) return false;
    const isIpv6 = this.#familyOf(index) === AF_INET6;
    let controlLength = this.#setReplyControl(slot, index, isIpv6);
    if (trafficClass !== undefined) controlLength += this.#setReplyClass(slot, controlLength, isIpv6, trafficClass);
    this.#answered[slot] = index;
    const nameLength = isIpv6 ? inet6Bytes : inetBytes;
    this.#queue(bytes, this.#names.address + index * nameBytes, nameLength, controlLength);
    return true;
  }

  /**
   * Returns where a reply to a datagram goes, for `replyLater`, which may be called after the next `receive`.
   * `trafficClass` is that of `reply`.
   */
  returnPath(index: number, trafficClass?: number): ReturnPath {
    if (index >>> 0 !== index || index >= this.#count) throw new RangeError(`there is no datagram ${index}`);
    const isIpv6 = this.#familyOf(index) === AF_INET6;
    let length = this.#setReplyControl(slots, index, isIpv6);
    if (trafficClass !== undefined) length += this.#setReplyClass(slots, length, isIpv6, trafficClass);
    const [name, control] = [index * nameBytes, slots * replyControlBytes];
    return {
      name: Uint8Array.from(this.#names.bytes.subarray(name, name + (isIpv6 ? inet6Bytes : inetBytes))),
      control: Uint8Array.from(this.#replyControls.bytes.subarray(control, control + length)),
    };
  }

  /** Like `reply`, to a datagram of an earlier batch. To `send`, it answers the first datagram. */
  replyLater({ name, control }: ReturnPath, bytes: Uint8Array): boolean {
    if (name.length > nameBytes || control.length > replyControlBytes) throw new RangeError('not a return path');
    const slot = this.#queuedCount;
    if (!this.#hasRoom(bytes.length)) return false;
    this.#lateNames.bytes.set(name, slot * nameBytes);
    this.#replyControls.bytes.set(control, slot * replyControlBytes);
    this.#answered[slot] = 0;
    this.#queue(bytes, this.#lateNames.address + slot * nameBytes, name.length, control.length);
    return true;
  }

  /**
   * Sends the queued replies without waiting. Calls `refused` for each that the kernel refuses, with the index of its
   * request and the length of the reply: a full send buffer, a firewall, no route.
   */
  send(descriptor: number, refused: (index: number, length: number) => void): void {
    const count = this.#queuedCount;
    const { pointer } = this.#queued;
    for (let done = 0; done < count; ) {
      const from = done === 0 ? pointer : pointer + BigInt(done * mmsghdrBytes);
      const sent = this.#libc.sendmmsg(descriptor, from, count - done, MSG_DONTWAIT);
      if (sent > 0) {
        done += sent;
        continue;
      }
      // The error is that of the first one. The others may have other destinations.
      refused(this.#answered[done] ?? 0, this.#replyVectors.view.getUint32(done * iovecBytes + 8, true));
      done += 1;
    }
    this.discardQueued();
  }

  /** Forgets queued replies that were not sent. */
  discardQueued(): void {
    this.#queuedCount = 0;
    this.#queuedBytes = 0;
  }

  #hasRoom(bytes: number): boolean {
    return this.#queuedCount < slots && this.#queuedBytes + bytes <= replyBytes;
  }

  /** Queues a copy in the next slot, whose control data is set. */
  #queue(bytes: Uint8Array, nameAddress: number, nameLength: number, controlLength: number): void {
    const slot = this.#queuedCount;
    this.#replies.bytes.set(bytes, this.#queuedBytes);
    setWord(this.#replyVectors, slot * iovecBytes, this.#replies.address + this.#queuedBytes);
    setWord(this.#replyVectors, slot * iovecBytes + 8, bytes.length);
    const header = slot * mmsghdrBytes;
    const { view } = this.#queued;
    setWord(this.#queued, header, nameAddress);
    view.setUint32(header + nameLengthOffset, nameLength, true);
    view.setUint32(header + controlLengthOffset, controlLength, true);
    this.#queuedCount = slot + 1;
    this.#queuedBytes += bytes.length;
  }

  #familyOf(index: number): number {
    return this.#names.view.getUint16(index * nameBytes, true);
  }

  #pktinfoOf(index: number): number {
    const offset = this.#pktinfo[index] ?? 0;
    return offset === 0 ? 0 : index * controlBytes + offset;
  }

  /** Names the address that the datagram was sent to as the source of the reply. Returns the length of the data. */
  #setReplyControl(slot: number, index: number, isIpv6: boolean): number {
    const from = this.#pktinfoOf(index);
    if (from === 0) return 0;
    const at = slot * replyControlBytes;
    const { view, bytes } = this.#replyControls;
    const data = at + cmsghdrBytes;
    view.setUint32(at, isIpv6 ? replyControl6 : replyControl4, true);
    view.setInt32(at + 8, isIpv6 ? IPPROTO_IPV6 : IPPROTO_IP, true);
    view.setInt32(at + 12, isIpv6 ? IPV6_PKTINFO : IP_PKTINFO, true);
    const source = this.#controls;
    if (isIpv6) {
      bytes.set(source.bytes.subarray(from, from + pktinfo6Bytes), data);
      // The route decides on the interface, but a link-local address means another host on each link.
      const isLinkLocal = source.view.getUint16(from) >>> 6 === 0xfe80 >>> 6;
      if (!isLinkLocal) view.setUint32(data + 16, 0, true);
      return cmsghdrBytes + 24;
    }
    view.setUint32(data, 0, true);
    // In network byte order on both sides. If the kernel named no address of ours, the destination is one.
    view.setUint32(data + 4, source.view.getUint32(from + 4) || source.view.getUint32(from + 8));
    view.setUint32(data + 8, 0);
    return cmsghdrBytes + 16;
  }

  /** Sets the traffic class of a reply, after other control data. Returns the length of its own. */
  #setReplyClass(slot: number, offset: number, isIpv6: boolean, trafficClass: number): number {
    const at = slot * replyControlBytes + offset;
    const { view } = this.#replyControls;
    view.setUint32(at, classControl, true);
    view.setUint32(at + 4, 0, true);
    view.setInt32(at + 8, isIpv6 ? IPPROTO_IPV6 : IPPROTO_IP, true);
    view.setInt32(at + 12, isIpv6 ? IPV6_TCLASS : IP_TOS, true);
    view.setInt32(at + cmsghdrBytes, trafficClass & 0xff, true);
    return classControlSpace;
  }

  /** Finds the packet information among the control data. Returns its offset there, or 0. */
  #findPktinfo(index: number): number {
    const at =
      this.#familyOf(index) === AF_INET6
        ? this.#findControl(index, IPPROTO_IPV6, IPV6_PKTINFO, pktinfo6Bytes)
        : this.#findControl(index, IPPROTO_IP, IP_PKTINFO, pktinfoBytes);
    return at === undefined ? 0 : at - index * controlBytes;
  }

  /** Finds an entry of the control data, which the kernel has filled in. Returns where its `bytes` of data begin. */
  #findControl(index: number, level: number, type: number, bytes: number): number | undefined {
    const { view } = this.#controls;
    const start = index * controlBytes;
    const reported = this.#received.view.getUint32(index * mmsghdrBytes + controlLengthOffset, true);
    const length = Math.min(reported, controlBytes);
    for (let at = 0; at + cmsghdrBytes + bytes <= length; ) {
      const size = view.getUint32(start + at, true);
      const isIt = view.getInt32(start + at + 8, true) === level && view.getInt32(start + at + 12, true) === type;
      if (isIt && size >= cmsghdrBytes + bytes) return start + at + cmsghdrBytes;
      if (size < cmsghdrBytes) break;
      at += (size + 7) & ~7;
    }
    return undefined;
  }
}

function block(functions: Libc, bytes: number): Block {
  const { address, buffer } = functions.allocate(bytes);
  return { address: Number(address), pointer: address, bytes: Buffer.from(buffer), view: new DataView(buffer) };
}

/** Sets a 64-bit field: a size, or an address, which has at most 57 bits in user space (47 by default). */
function setWord({ view }: Block, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

let batch: DatagramBatch | undefined;

/** The batch of this process. */
export function datagramBatch(): DatagramBatch {
  batch ??= new DatagramBatch(requireLibc());
  return batch;
}
