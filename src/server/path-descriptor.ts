/** open(2): identifies a file without opening it. Node has no constant for it. The same value on all architectures. */
export const O_PATH = 0o10_000_000;

/** proc(5): refers to the file itself, not to whatever has its name by now. */
export function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}
