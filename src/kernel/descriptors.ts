import { readdirSync } from 'node:fs';
import { assertDescriptor } from './arguments.ts';
import { libc } from './libc.ts';

// fcntl.h
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0x800;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;

/** Duplicates a descriptor with close-on-exec set. Returns undefined if the system refuses. */
export function duplicate(descriptor: number): number | undefined {
  assertDescriptor(descriptor);
  const copy = libc?.fcntl(descriptor, F_DUPFD_CLOEXEC, 0) ?? -1;
  return copy < 0 ? undefined : copy;
}

/**
 * Makes calls on a socket return at once instead of waiting. This holds for every process that has a copy of it. See
 * O_NONBLOCK in open(2).
 */
export function setNonBlocking(descriptor: number): void {
  const flags = libc?.fcntl(descriptor, F_GETFL, 0) ?? -1;
  if (flags >= 0) libc?.fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

/**
 * Sets close-on-exec on all descriptors, so that child processes inherit only those passed explicitly: whoever started
 * this process may have left root's files open. The standard descriptors stay as they are. Does nothing without koffi
 * or /proc.
 */
export function keepDescriptors(): void {
  if (libc === undefined) return;
  for (const descriptor of openDescriptors()) if (descriptor > 2) libc.fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

function openDescriptors(): readonly number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return [];
  }
}
