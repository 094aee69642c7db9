import { randomFillSync } from 'node:crypto';
import { closeSync, writeSync } from 'node:fs';
import { createSharedMemory, mapSharedMemory } from '../kernel/shared-memory.ts';
import { SharedCounts } from './guard/shared-counts.ts';
import type { SharedLimits } from './guard/shared-limits.ts';
import { roomElements, SharedRoom } from './guard/shared-room.ts';
import { hashWords, SourceHash } from './guard/source-hash.ts';
import { slotsOfRow, TokenBucket } from './guard/token-bucket.ts';
import { sharedNowMs } from './shared-time.ts';
import { type Searches, searchRate } from './transport/neighborhood.ts';

/** Of each worker and of all together, for each service. The first counts all clients, any other those of a source. */
const countersOfService = 16_384;

const hashBytes = hashWords * Uint32Array.BYTES_PER_ELEMENT;
const countersBytes = countersOfService * Int32Array.BYTES_PER_ELEMENT;
const ratesBytes = 2 * slotsOfRow * Float64Array.BYTES_PER_ELEMENT;
/** Rates of connections and of datagrams, and one element on a cache line of its own. */
const bucketBytes = 64;
const allRatesBytes = 2 * ratesBytes + bucketBytes;

/** How many services and workers share the memory. Workers have the slots 0 to `workers` − 1. */
export interface LimitMemorySize {
  readonly services: number;
  readonly workers: number;
}

/**
 * Memory in which the workers of one config count their clients together: random words for the hash, a mark for each
 * slot that a worker has used, the rate of searches for neighbors, and for each service its rates, the counters of all
 * workers and those of each slot, and what each slot has noted in its `SharedRoom`.
 * Nothing in it is trusted beyond the limits themselves: no value is an offset or a length.
 */
export class LimitMemory {
  readonly #memory: ArrayBuffer;
  readonly #size: LimitMemorySize;
  readonly #slot: number;
  readonly #hash: SourceHash;

  /** Takes a worker's slot in memory that `create` has made. Whatever its predecessor has counted is taken back. */
  constructor(descriptor: number, size: LimitMemorySize, slot: number) {
    this.#memory = mapSharedMemory(descriptor, bytesOf(size));
    this.#size = size;
    this.#slot = slot;
    // A copy, which no other process can change.
    this.#hash = new SourceHash(new Uint32Array(this.#memory.slice(0, hashBytes)));
    const used = new Int32Array(this.#memory, hashBytes, size.workers);
    // Otherwise reading the counters would only cost memory.
    if (used[slot] !== 0) for (let index = 0; index < size.services; index += 1) this.#countsOf(index).takeBack();
    used[slot] = 1;
  }

  /** Creates the memory, and returns its descriptor. Throws the system's error. */
  static create(size: LimitMemorySize): number {
    const descriptor = createSharedMemory('smallservd-limits', bytesOf(size));
    try {
      writeSync(descriptor, randomFillSync(new Uint8Array(hashBytes)));
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    return descriptor;
  }

  /** For the hosts on our links that all workers look for together. */
  get neighborSearches(): Searches {
    const fullAtMs = new Float64Array(this.#memory, searchesOffset(this.#size), 1);
    return { bucket: new TokenBucket(searchRate, fullAtMs), nowMs: sharedNowMs };
  }

  /** For a service, by its position in the config. */
  of(index: number): SharedLimits {
    const offset = offsetOf(this.#size, index);
    const length = 2 * slotsOfRow;
    const { workers } = this.#size;
    const room = new Float64Array(
      this.#memory,
      offset + allRatesBytes + (1 + workers) * countersBytes,
      workers * roomElements,
    );
    return {
      counts: this.#countsOf(index),
      room: new SharedRoom(room, this.#slot, sharedNowMs),
      connectionRates: new Float64Array(this.#memory, offset, length),
      datagramRates: new Float64Array(this.#memory, offset + ratesBytes, length),
      datagramServiceRate: new Float64Array(this.#memory, offset + 2 * ratesBytes, 1),
      hash: this.#hash,
      nowMs: sharedNowMs,
    };
  }

  #countsOf(index: number): SharedCounts {
    const offset = offsetOf(this.#size, index) + allRatesBytes;
    const own = offset + (1 + this.#slot) * countersBytes;
    return new SharedCounts(
      new Int32Array(this.#memory, offset, countersOfService),
      new Int32Array(this.#memory, own, countersOfService),
    );
  }
}

function searchesOffset({ workers }: LimitMemorySize): number {
  return hashBytes + wholeLines(workers * Int32Array.BYTES_PER_ELEMENT);
}

function offsetOf(size: LimitMemorySize, index: number): number {
  const { workers } = size;
  const roomBytes = wholeLines(workers * roomElements * Float64Array.BYTES_PER_ELEMENT);
  return searchesOffset(size) + bucketBytes + index * (allRatesBytes + (1 + workers) * countersBytes + roomBytes);
}

/** Whole cache lines. */
function wholeLines(bytes: number): number {
  return 64 * Math.ceil(bytes / 64);
}

function bytesOf(size: LimitMemorySize): number {
  return offsetOf(size, size.services);
}
