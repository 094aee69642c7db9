import { type IpAddress, isIpv4 } from '../../address/ip-address.ts';
import { SourceMask } from './source-prefix.ts';
import { TokenBucket, TokenTable } from './token-bucket.ts';

/**
 * `no`: not a loop. `found`: this datagram proves a loop. `loop`: it belongs to a loop that was found. `crowded`: there
 * is no room to watch its peer, and too many like it have come.
 */
export type LoopVerdict = 'no' | 'found' | 'loop' | 'crowded';

/** Services use source ports below this, clients use ephemeral ports from it on. */
const firstEphemeralPort = 32_768;
/** As many matches within the window prove a loop: with what they match, eight equal datagrams. */
const matchesOfALoop = 7;
/** A peer that has sent nothing that matches for this long is in no loop. Also how long an active row is kept. */
const windowMs = 1000;
/** What is remembered of a peer: as many packets may circulate at once and are still all recognized. */
const digestsOfRow = 16;
const rowsOfBucket = 4;
const buckets = 1024;
const rows = rowsOfBucket * buckets;
/** Buckets that a network's peers can get into: it can keep others out of 64 rows, not out of the table. */
const bucketsOfNetwork = 16;
/** Replies to peers that cannot be watched: of one network, and of all together. */
const crowdedNetworkRate = { perSecond: 50, burst: 50 };
const crowdedRate = { perSecond: 1000, burst: 1000 };
const slotsOfCrowded = 4096;

/** What counts as one network, besides a link: what one customer has. */
const networks = new SourceMask({ ipv4: 24, ipv6: 48 });
/** Any program of this machine can use all of 127.0.0.0/8. */
const loopbackHigh = 127;

/**
 * Detects peers that answer our answers. What goes in circles is content: a datagram from a source port below 32768
 * that equals one of the last sixteen answers to that address and port (as from echo), or one of the last requests from
 * there (as from a service that always says the same, such as daytime or time). Seven matches within a second are a
 * loop. From then on, datagrams that match are dropped, until none has come for a second. Anything else from the peer
 * is answered, so whoever forges its address silences it only if they know what it will ask. Empty requests are what
 * clients of daytime send, and match only an empty answer.
 *
 * Memory is constant: addresses and ports are distributed over buckets of four rows by a seeded hash. A newcomer takes
 * the row that was idle longest. If all four are in use, it is not watched, and shares a low rate with its network.
 * Data is compared by length and 64 bits of seeded hash. Anyone able to craft a collision could simply send the answer
 * instead.
 */
export class LoopBreaker {
  readonly #seedA: number;
  readonly #seedB: number;
  /** 0 marks a free row, because datagrams from port 0 never get here. */
  readonly #ports = new Uint16Array(rows);
  readonly #addresses = new Uint32Array(rows * 4);
  /** Of link-local peers, and else 0. */
  readonly #zones = new Uint32Array(rows);
  /** When the row was last used. */
  readonly #usedAtMs = new Float64Array(rows);
  readonly #digests = new Digests();
  /** Times of the last matches, as a ring per row. */
  readonly #matchedAtMs = new Float64Array(rows * matchesOfALoop);
  readonly #matches = new Uint32Array(rows);
  readonly #isLoop = new Uint8Array(rows);
  readonly #crowded = new TokenBucket(crowdedRate);
  readonly #crowdedNetworks: TokenTable;

  /** `random` returns numbers from 0 up to, but not including, 1. */
  constructor(random: () => number) {
    this.#seedA = Math.floor(random() * 2 ** 32) | 0;
    this.#seedB = Math.floor(random() * 2 ** 32) | 0;
    this.#crowdedNetworks = TokenTable.own(crowdedNetworkRate, random, slotsOfCrowded);
  }

  /** Whether this address and port are watched, or there is room for it. Those from port 32768 on never are. */
  watches(ip: IpAddress, port: number, nowMs: number): boolean {
    if (port >= firstEphemeralPort) return false;
    const bucket = this.#bucketOf(ip, port);
    return this.#find(bucket, ip, port) >= 0 || !this.#isActive(this.#idlest(bucket), nowMs);
  }

  /** Records an answered request from this address and port. Times are monotonic milliseconds, 0 or more. */
  remember(ip: IpAddress, port: number, request: Uint8Array, answer: Uint8Array, nowMs: number): void {
    if (port >= firstEphemeralPort) return;
    const bucket = this.#bucketOf(ip, port);
    let row = this.#find(bucket, ip, port);
    if (row < 0) {
      row = this.#idlest(bucket);
      if (this.#isActive(row, nowMs)) return;
      this.#occupy(row, ip, port);
    }
    this.#usedAtMs[row] = nowMs;
    this.#digests.add(row, answer.length, this.#hashA(answer), this.#hashB(answer));
    if (request.length > 0) this.#digests.add(row, request.length, this.#hashA(request), this.#hashB(request));
  }

  /** Whether a datagram from this address and port is part of a loop. */
  repeats(ip: IpAddress, port: number, request: Uint8Array, nowMs: number): LoopVerdict {
    if (port >= firstEphemeralPort) return 'no';
    const bucket = this.#bucketOf(ip, port);
    const row = this.#find(bucket, ip, port);
    if (row < 0) return !this.#isActive(this.#idlest(bucket), nowMs) || this.#takeCrowded(ip, nowMs) ? 'no' : 'crowded';
    if (!this.#digests.has(row, request.length, this.#hashA(request), this.#hashB(request))) return 'no';
    const last = row * matchesOfALoop + (this.#matches[row]! % matchesOfALoop);
    const isOver = nowMs - this.#matchedAtMs[last]! > windowMs;
    if (isOver) this.#isLoop[row] = 0;
    const matches = this.#count(row, nowMs);
    this.#usedAtMs[row] = nowMs;
    if (this.#isLoop[row] === 1) return 'loop';
    const first = row * matchesOfALoop + ((matches + 1) % matchesOfALoop);
    if (matches < matchesOfALoop || nowMs - this.#matchedAtMs[first]! > windowMs) return 'no';
    this.#isLoop[row] = 1;
    return 'found';
  }

  /** Takes a reply to a peer that cannot be watched. Returns false if there have been too many. */
  #takeCrowded(ip: IpAddress, nowMs: number): boolean {
    if (!this.#crowded.ready(nowMs)) return false;
    return this.#crowdedNetworks.take(networks.high(ip), networkLow(ip), nowMs) && this.#crowded.take(nowMs);
  }

  /** A row can be taken from a peer that has done nothing for a while. */
  #isActive(row: number, nowMs: number): boolean {
    return this.#ports[row] !== 0 && nowMs - this.#usedAtMs[row]! <= windowMs;
  }

  /** The buckets of a network are next to each other, in a ring. */
  #bucketOf(ip: IpAddress, port: number): number {
    const network = mixA(mixA(this.#seedA, networks.high(ip)), networkLow(ip));
    let peer = mixA(mixA(this.#seedB, ip.w1), ip.w2);
    peer = mixA(mixA(peer, ip.w3), port);
    return (finish(network) + (finish(peer) & (bucketsOfNetwork - 1))) & (buckets - 1);
  }

  /** Returns the row of a peer, or -1. */
  #find(bucket: number, ip: IpAddress, port: number): number {
    const first = bucket * rowsOfBucket;
    for (let row = first; row < first + rowsOfBucket; row += 1) if (this.#holds(row, ip, port)) return row;
    return -1;
  }

  #idlest(bucket: number): number {
    const first = bucket * rowsOfBucket;
    let idlest = first;
    for (let row = first; row < first + rowsOfBucket; row += 1) {
      if (this.#ports[row] === 0) return row;
      if (this.#usedAtMs[row]! < this.#usedAtMs[idlest]!) idlest = row;
    }
    return idlest;
  }

  #holds(row: number, ip: IpAddress, port: number): boolean {
    const address = row * 4;
    return (
      this.#ports[row] === port &&
      this.#zones[row] === (ip.zone ?? 0) &&
      this.#addresses[address + 3] === ip.w3 &&
      this.#addresses[address + 2] === ip.w2 &&
      this.#addresses[address + 1] === ip.w1 &&
      this.#addresses[address] === ip.w0
    );
  }

  #occupy(row: number, ip: IpAddress, port: number): void {
    const address = row * 4;
    this.#ports[row] = port;
    this.#zones[row] = ip.zone ?? 0;
    this.#addresses[address] = ip.w0;
    this.#addresses[address + 1] = ip.w1;
    this.#addresses[address + 2] = ip.w2;
    this.#addresses[address + 3] = ip.w3;
    this.#digests.clear(row);
    this.#matches[row] = 0;
    this.#isLoop[row] = 0;
    this.#matchedAtMs.fill(Number.NEGATIVE_INFINITY, row * matchesOfALoop, (row + 1) * matchesOfALoop);
  }

  /** Counts a match and returns how many there have been. */
  #count(row: number, atMs: number): number {
    const matches = this.#matches[row]! + 1;
    this.#matches[row] = matches;
    this.#matchedAtMs[row * matchesOfALoop + (matches % matchesOfALoop)] = atMs;
    return matches;
  }

  #hashA(bytes: Uint8Array): number {
    let hash = this.#seedA;
    for (let at = 0; at < bytes.length; at += 4) hash = mixA(hash, wordAt(bytes, at));
    return hash;
  }

  #hashB(bytes: Uint8Array): number {
    let hash = this.#seedB;
    for (let at = 0; at < bytes.length; at += 4) hash = mixB(hash, wordAt(bytes, at));
    return hash;
  }
}

function networkLow(ip: IpAddress): number {
  return isIpv4(ip) && ip.w3 >>> 24 === loopbackHigh ? loopbackHigh : networks.low(ip);
}

/** The last contents of each row: for each its length plus one, and two hashes. */
class Digests {
  readonly #lengths = new Uint32Array(rows * digestsOfRow);
  readonly #hashesA = new Int32Array(rows * digestsOfRow);
  readonly #hashesB = new Int32Array(rows * digestsOfRow);
  /** Position of the next one, which replaces the oldest. */
  readonly #next = new Uint8Array(rows);

  has(row: number, length: number, hashA: number, hashB: number): boolean {
    const first = row * digestsOfRow;
    for (let at = first; at < first + digestsOfRow; at += 1) {
      if (this.#hashesA[at] === hashA && this.#lengths[at] === length + 1 && this.#hashesB[at] === hashB) return true;
    }
    return false;
  }

  add(row: number, length: number, hashA: number, hashB: number): void {
    if (this.has(row, length, hashA, hashB)) return;
    const next = this.#next[row]!;
    const at = row * digestsOfRow + next;
    this.#lengths[at] = length + 1;
    this.#hashesA[at] = hashA;
    this.#hashesB[at] = hashB;
    this.#next[row] = (next + 1) % digestsOfRow;
  }

  clear(row: number): void {
    this.#lengths.fill(0, row * digestsOfRow, (row + 1) * digestsOfRow);
    this.#next[row] = 0;
  }
}

/** The four bytes from `at`, zero-padded at the end. */
function wordAt(bytes: Uint8Array, at: number): number {
  if (at + 4 <= bytes.length) {
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
}

// Different factors and shifts, so that a collision in one hash is not one in the other.
function mixA(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1);
  return product ^ (product >>> 15);
}

function mixB(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x85ebca6b);
  return product ^ (product >>> 13);
}

/** Lets every bit of a hash decide on the low ones, which choose the bucket: the finalizer of MurmurHash3. */
function finish(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return (twice ^ (twice >>> 16)) >>> 0;
}
