import type { IpAddress } from '../address/ip-address.ts';

/** `no`: no loop. `muted-now`: this datagram proves one, the peer is muted from here on. `muted`: it still is. */
export type LoopVerdict = 'no' | 'muted-now' | 'muted';

/** Services live on source ports below this one; clients use ephemeral ports above. */
const firstEphemeralPort = 32_768;
const repeatsOfALoop = 8;
const windowMs = 1000;
const muteMs = 60_000;
const slots = 4096;

/**
 * Recognises a peer that sends our own answers back: a non-empty datagram from a source port below 32768 that equals
 * the last answer sent to that address and port, eight times in a row within a second. Such a peer is muted for 60 s.
 *
 * Memory is constant. Each address and port has one row, by a seeded hash; of two that share one the later answer takes
 * it, except from a muted peer. Answers are kept as their length and 64 bits of seeded hash: who could craft a
 * collision could as well send the answer.
 */
export class LoopBreaker {
  readonly #seedA: number;
  readonly #seedB: number;
  /** 0: the row is free, since no datagram from port 0 gets here. */
  readonly #ports = new Uint16Array(slots);
  readonly #addresses = new Uint32Array(slots * 4);
  readonly #lengths = new Uint32Array(slots);
  readonly #hashesA = new Int32Array(slots);
  readonly #hashesB = new Int32Array(slots);
  readonly #repeats = new Uint32Array(slots);
  /** The times of the last eight repeats: a ring for each row. */
  readonly #repeatedAtMs = new Float64Array(slots * repeatsOfALoop);
  readonly #mutedUntilMs = new Float64Array(slots);

  /** `random` gives numbers from 0 up to, but not including, 1. */
  constructor(random: () => number) {
    this.#seedA = Math.floor(random() * 2 ** 32);
    this.#seedB = Math.floor(random() * 2 ** 32);
  }

  /** An answer was sent to this address and port. Times are monotonic milliseconds, 0 or more. */
  remember(ip: IpAddress, port: number, answer: Uint8Array, nowMs: number): void {
    if (port >= firstEphemeralPort) return;
    const slot = this.#slotOf(ip, port);
    if (!this.#holds(slot, ip, port)) {
      if (nowMs < this.#mutedUntilMs[slot]!) return;
      this.#occupy(slot, ip, port);
    }
    this.#lengths[slot] = answer.length;
    this.#hashesA[slot] = this.#hashA(answer);
    this.#hashesB[slot] = this.#hashB(answer);
  }

  /** A datagram came from this address and port: does it go in circles? */
  repeats(ip: IpAddress, port: number, request: Uint8Array, nowMs: number): LoopVerdict {
    if (port >= firstEphemeralPort) return 'no';
    const slot = this.#slotOf(ip, port);
    if (!this.#holds(slot, ip, port)) return 'no';
    if (nowMs < this.#mutedUntilMs[slot]!) return 'muted';
    if (!this.#isAnswer(slot, request)) {
      this.#repeats[slot] = 0;
      return 'no';
    }
    const repeats = this.#repeats[slot]! + 1;
    this.#repeats[slot] = repeats;
    const ring = slot * repeatsOfALoop;
    this.#repeatedAtMs[ring + (repeats % repeatsOfALoop)] = nowMs;
    if (repeats < repeatsOfALoop) return 'no';
    const firstAtMs = this.#repeatedAtMs[ring + ((repeats + 1) % repeatsOfALoop)]!;
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
  }

  #isAnswer(slot: number, request: Uint8Array): boolean {
    return (
      request.length > 0 &&
      request.length === this.#lengths[slot] &&
      this.#hashA(request) === this.#hashesA[slot] &&
      this.#hashB(request) === this.#hashesB[slot]
    );
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
