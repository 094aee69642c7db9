/**
 * open(2): a descriptor that identifies a file without opening it. The same on every architecture that Node supports,
 * but Node has no constant for it.
 */
export const O_PATH = 0o10_000_000;

/** proc(5): refers to the file itself, not to whatever has its name by now. */
export function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}
