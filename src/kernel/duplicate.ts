import { libc } from './libc.ts';

// fcntl.h
const F_DUPFD_CLOEXEC = 1030;

/**
 * Another descriptor for what `descriptor` stands for, which programs that are started do not inherit. Undefined where
 * the system does not give one.
 */
export function duplicate(descriptor: number): number | undefined {
  const copy = libc?.fcntl(descriptor, F_DUPFD_CLOEXEC, 0) ?? -1;
  return copy < 0 ? undefined : copy;
}
