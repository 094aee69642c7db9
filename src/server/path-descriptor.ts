/**
 * open(2): a descriptor that tells which file is meant, and opens nothing. The same on every architecture that Node
 * has; Node has no name for it.
 */
export const O_PATH = 0o10_000_000;

/** proc(5): leads to the file itself, not to whatever has its name by now. */
export function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}
