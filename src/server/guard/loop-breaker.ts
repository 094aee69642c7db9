import type { IpAddress } from '../../address/ip-address.ts';

/** `no`: no loop. `muted-now`: this datagram proves one, the peer is muted from here on. `muted`: it still is. */
export type LoopVerdict = 'no' | 'muted-now' | 'muted';

/** Services live on source ports below this one; clients use ephemeral ports above. */
const firstEphemeralPort = 32_768;
const repeatsOfALoop = 8;
const windowMs = 1000;
const muteMs = 60_000;
const slots = 4096;

/**
 * Recognises a peer with which we go in circles: eight times in a row within a second a datagram from a source port
 * below 32768 equals our last answer to that address and port (echo sends it back), or the last datagram that we
 * answered there (a service that says the same whatever it hears, daytime or time). Clients ask with empty datagrams,
 * so one of the eight must have bytes, or our answer to it none. Such a peer is muted for 60 s.
 *
 * Memory is constant. Each address and port has one row, by a seeded hash; of two that share one the later answer takes
 * it, except from a muted peer. What is compared is kept as its length and 64 bits of seeded hash: who could craft a
 * collision could as well send the answer.
 */
export class LoopBreaker {
  readonly #seedA: number;
  readonly #seedB: number;
  /** 0: the row is free, since no datagram from port 0 gets here. */
  readonly #ports = new Uint16Array(slots);
  readonly #addresses = new Uint32Array(slots * 4);
  readonly #answers = new Digests(slots);
  readonly #requests = new Digests(slots);
  readonly #answeredAtMs = new Float64Array(slots);
  readonly #repeats = new Uint32Array(slots);
  /** 1: one of the repeats in a row was not what a client asks with. */
  readonly #isFilled = new Uint8Array(slots);
  /** The times of the last eight repeats: a ring for each row. */
  readonly #repeatedAtMs = new Float64Array(slots * repeatsOfALoop);
  readonly #mutedUntilMs = new Float64Array(slots);

  /** `random` gives numbers from 0 up to, but not including, 1. */
  constructor(random: () => number) {
    this.#seedA = Math.floor(random() * 2 ** 32) | 0;
    this.#seedB = Math.floor(random() * 2 ** 32) | 0;
  }

  /** A request from this address and port was answered. Times are monotonic milliseconds, 0 or more. */
  remember(ip: IpAddress, port: number, request: Uint8Array, answer: Uint8Array, nowMs: number): void {
    if (port >= firstEphemeralPort) return;
    const slot = this.#slotOf(ip, port);
    if (!this.#holds(slot, ip, port)) {
      if (nowMs < this.#mutedUntilMs[slot]!) return;
      this.#occupy(slot, ip, port);
    }
    this.#answers.set(slot, answer.length, this.#hashA(answer), this.#hashB(answer));
    this.#requests.set(slot, request.length, this.#hashA(request), this.#hashB(request));
    this.#answeredAtMs[slot] = nowMs;
  }

  /** A datagram came from this address and port: does it go in circles? */
  repeats(ip: IpAddress, port: number, request: Uint8Array, nowMs: number): LoopVerdict {
    if (port >= firstEphemeralPort) return 'no';
    const slot = this.#slotOf(ip, port);
    if (!this.#holds(slot, ip, port)) return 'no';
    if (nowMs < this.#mutedUntilMs[slot]!) return 'muted';
    const hashA = this.#hashA(request);
    const hashB = this.#hashB(request);
    const isAnswer = this.#answers.equals(slot, request.length, hashA, hashB);
    if (!isAnswer && !this.#requests.equals(slot, request.length, hashA, hashB)) {
      this.#repeats[slot] = 0;
      this.#isFilled[slot] = 0;
      return 'no';
    }
    // Nothing for nothing is what echo says.
    if (request.length > 0 || isAnswer) this.#isFilled[slot] = 1;
    // Of equal requests the first counts too.
    if (!isAnswer && this.#repeats[slot] === 0) this.#count(slot, this.#answeredAtMs[slot]!);
    const repeats = this.#count(slot, nowMs);
    if (repeats < repeatsOfALoop || this.#isFilled[slot] === 0) return 'no';
    const firstAtMs = this.#repeatedAtMs[slot * repeatsOfALoop + ((repeats + 1) % repeatsOfALoop)]!;
    if (nowMs - firstAtMs > windowMs) return 'no';
    this.#mutedUntilMs[slot] = nowMs + muteMs;
    return 'muted-now';
  }

  #slotOf(ip: IpAddress, port: number): number {
    let hash = this.#seedA;
    hash = mixA(hash, ip.w0);
    hash = mixA(hash, ip.w1);
    hash = mixA(hash, ip.w2);
    hash = mixA(hash, ip.w3);
    return mixA(hash, port) & (slots - 1);
  }

  #holds(slot: number, ip: IpAddress, port: number): boolean {
    const address = slot * 4;
    return (
      this.#ports[slot] === port &&
      this.#addresses[address + 3] === ip.w3 &&
      this.#addresses[address + 2] === ip.w2 &&
      this.#addresses[address + 1] === ip.w1 &&
      this.#addresses[address] === ip.w0
    );
  }

  #occupy(slot: number, ip: IpAddress, port: number): void {
    const address = slot * 4;
    this.#ports[slot] = port;
    this.#addresses[address] = ip.w0;
    this.#addresses[address + 1] = ip.w1;
    this.#addresses[address + 2] = ip.w2;
    this.#addresses[address + 3] = ip.w3;
    this.#repeats[slot] = 0;
    this.#isFilled[slot] = 0;
  }

  /** Counts a repeat at this time; how many there are in a row. */
  #count(slot: number, atMs: number): number {
    const repeats = this.#repeats[slot]! + 1;
    this.#repeats[slot] = repeats;
    this.#repeatedAtMs[slot * repeatsOfALoop + (repeats % repeatsOfALoop)] = atMs;
    return repeats;
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

/** A datagram for each row, by its length and two hashes. */
class Digests {
  readonly #lengths: Uint32Array;
  readonly #hashesA: Int32Array;
  readonly #hashesB: Int32Array;

  constructor(rows: number) {
    this.#lengths = new Uint32Array(rows);
    this.#hashesA = new Int32Array(rows);
    this.#hashesB = new Int32Array(rows);
  }

  set(row: number, length: number, hashA: number, hashB: number): void {
    this.#lengths[row] = length;
    this.#hashesA[row] = hashA;
    this.#hashesB[row] = hashB;
  }

  equals(row: number, length: number, hashA: number, hashB: number): boolean {
    return this.#lengths[row] === length && this.#hashesA[row] === hashA && this.#hashesB[row] === hashB;
  }
}

/** The four bytes from `at`, zeros after the end. */
function wordAt(bytes: Uint8Array, at: number): number {
  if (at + 4 <= bytes.length) {
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
}

// Other factors and shifts in each, so that what collides in one does not in the other.
function mixA(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1);
  return product ^ (product >>> 15);
}

function mixB(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x85ebca6b);
  return product ^ (product >>> 13);
}
