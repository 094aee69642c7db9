import { closeSync, fstatSync } from 'node:fs';
import { assertWithin } from './arguments.ts';
import { requireLibc } from './libc.ts';
import { check, systemError } from './system-error.ts';

// linux/memfd.h, fcntl.h
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
// sys/mman.h
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

/**
 * Creates memory that processes share by inheriting its descriptor, filled with 0. Pages are taken from the system when
 * they are first written. The size is sealed: a process that shrank it would crash all others. See memfd_create(2).
 * Throws the system's error.
 */
export function createSharedMemory(name: string, bytes: number): number {
  assertWithin('size', bytes, 1, Number.MAX_SAFE_INTEGER);
  const calls = requireLibc();
  const descriptor = check('memfd_create', calls.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  try {
    check('ftruncate', calls.ftruncate(descriptor, bytes));
    check('fcntl', calls.fcntl(descriptor, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW));
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return descriptor;
}

/**
 * Maps shared memory, for as long as the process lives. See mmap(2). Throws the system's error, and a
 * RangeError if the memory is smaller than `bytes`: an access beyond its end would crash the process.
 */
export function mapSharedMemory(descriptor: number, bytes: number): ArrayBuffer {
  assertWithin('size', bytes, 1, fstatSync(descriptor).size);
  const memory = requireLibc().mapShared(descriptor, bytes, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (memory === undefined) throw systemError('mmap');
  return memory;
}
