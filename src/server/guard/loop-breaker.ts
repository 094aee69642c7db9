import type { IpAddress } from '../../address/ip-address.ts';

/** `no`: not a loop. `muted-now`: this datagram proves a loop and mutes the peer. `muted`: the peer is still muted. */
export type LoopVerdict = 'no' | 'muted-now' | 'muted';

/** Services use source ports below this, clients use ephemeral ports from it on. */
const firstEphemeralPort = 32_768;
const repeatsOfALoop = 8;
const windowMs = 1000;
const muteMs = 60_000;
const slots = 4096;

/**
 * Detects peers that answer our answers. The sign is eight repeats in a row within a second: a datagram from a source
 * port below 32768 equals our last answer to that address and port (as from echo), or the last datagram answered there
 * (as from a service that always says the same, such as daytime or time). Clients send empty datagrams, so at least one
 * of the eight must have data or our answer to it must be empty. The peer is then muted for 60 s.
 *
 * Memory is constant: each address and port maps to a row by a seeded hash. If two share a row, the later answer takes
 * it, unless the other peer is muted. Data is compared by length and 64 bits of seeded hash. Anyone able to craft a
 * collision could simply send the answer instead.
 */
export class LoopBreaker {
  readonly #seedA: number;
  readonly #seedB: number;
  /** 0 marks a free row, because datagrams from port 0 never get here. */
  readonly #ports = new Uint16Array(slots);
  readonly #addresses = new Uint32Array(slots * 4);
  readonly #answers = new Digests();
  readonly #requests = new Digests();
  readonly #answeredAtMs = new Float64Array(slots);
  readonly #repeats = new Uint32Array(slots);
  /** 1 if one of the repeats in a row was not a typical client request. */
  readonly #isFilled = new Uint8Array(slots);
  /** Times of the last eight repeats, as a ring per row. */
  readonly #repeatedAtMs = new Float64Array(slots * repeatsOfALoop);
  readonly #mutedUntilMs = new Float64Array(slots);

  /** `random` returns numbers from 0 up to, but not including, 1. */
  constructor(random: () => number) {
    this.#seedA = Math.floor(random() * 2 ** 32) | 0;
    this.#seedB = Math.floor(random() * 2 ** 32) | 0;
  }

  /** Records an answered request from this address and port. Times are monotonic milliseconds, 0 or more. */
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

  /** Whether a datagram from this address and port is part of a loop. */
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
    // An empty answer to an empty request is normal for echo.
    if (request.length > 0 || isAnswer) this.#isFilled[slot] = 1;
    // Of equal requests, the first also counts.
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

  /** Counts a repeat and returns the number in a row. */
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

/** Stores a datagram per row, as its length and two hashes. */
class Digests {
  readonly #lengths = new Uint32Array(slots);
  readonly #hashesA = new Int32Array(slots);
  readonly #hashesB = new Int32Array(slots);

  set(row: number, length: number, hashA: number, hashB: number): void {
    this.#lengths[row] = length;
    this.#hashesA[row] = hashA;
    this.#hashesB[row] = hashB;
  }

  equals(row: number, length: number, hashA: number, hashB: number): boolean {
    return this.#lengths[row] === length && this.#hashesA[row] === hashA && this.#hashesB[row] === hashB;
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
