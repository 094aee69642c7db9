import { readdirSync } from 'node:fs';
import { libc } from './libc.ts';

// fcntl.h
const F_SETFD = 2;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;

/**
 * Another descriptor for what `descriptor` stands for, which programs that are started do not inherit. Undefined where
 * the system does not give one.
 */
export function duplicate(descriptor: number): number | undefined {
  const copy = libc?.fcntl(descriptor, F_DUPFD_CLOEXEC, 0) ?? -1;
  return copy < 0 ? undefined : copy;
}

/**
 * From now on no program that this process starts inherits a descriptor but those it is given: whoever started this one
 * may have left files of root's open. The standard ones stay as they are. Without koffi, or /proc, so do all.
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
