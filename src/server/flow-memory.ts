import { randomFillSync } from 'node:crypto';
import { closeSync, writeSync } from 'node:fs';
import { createSharedMemory, mapSharedMemory } from '../kernel/shared-memory.ts';
import { type FlowMemory, flowBytes } from './guard/proxy-flows.ts';
import { hashWords, SourceHash } from './guard/source-hash.ts';
import { sharedNowMs } from './shared-time.ts';

const hashBytes = hashWords * Uint32Array.BYTES_PER_ELEMENT;

/**
 * Creates memory for the flows of a UDP socket, which outlives the workers that read it in turn, and returns its
 * descriptor. Nothing in it is trusted: no value is an offset or a length. Throws the system's error.
 */
export function createFlowMemory(): number {
  const descriptor = createSharedMemory('smallservd-flows', hashBytes + flowBytes);
  try {
    writeSync(descriptor, randomFillSync(new Uint8Array(hashBytes)));
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return descriptor;
}

/** Opens memory that `createFlowMemory` has made. Throws the system's error. */
export function openFlowMemory(descriptor: number): FlowMemory {
  const memory = mapSharedMemory(descriptor, hashBytes + flowBytes);
  // A copy, which no other process can change.
  const hash = new SourceHash(new Uint32Array(memory.slice(0, hashBytes)));
  return { memory, offset: hashBytes, hash, nowMs: sharedNowMs };
}
