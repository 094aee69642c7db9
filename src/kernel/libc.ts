/**
 * The only file that calls libc, through koffi (https://koffi.dev). A wrong signature here means a segmentation fault,
 * so each function is declared once, with its man page, and `test/kernel` calls each of them.
 */

/** The libc functions in use. A result of -1 is an error, with its number in `errno`. */
export interface Libc {
  /** prctl(2). Unused arguments must be 0. */
  prctl(operation: number, second: number, third: number, fourth: number, fifth: number): number;
  /** getsockopt(2). `length` holds the size of `value` in bytes, and on return the number of bytes filled. */
  getsockopt(descriptor: number, level: number, name: number, value: Uint8Array, length: Uint32Array): number;
  /** fcntl(2), for operations with an int argument. */
  fcntl(descriptor: number, operation: number, argument: number): number;
  /** ioctl(2), for operations without an argument, which must be 0. */
  ioctl(descriptor: number, operation: number, argument: number): number;
  /** syscall(2), for system calls without a libc function. Missing arguments are 0. */
  syscall(number: number, first: number, second: number): number;
  /** _exit(2). Does not return. */
  _exit(status: number): void;
  /** The error of the preceding call. */
  errno(): number;
}

/** Undefined without koffi for this machine, and except on 64-bit Linux, for which the structures are laid out. */
export const libc: Libc | undefined = await load();

async function load(): Promise<Libc | undefined> {
  const architectures: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64'];
  if (process.platform !== 'linux' || !architectures.includes(process.arch)) return undefined;
  try {
    const { default: koffi } = await import('koffi');
    // The node binary is linked with libc.
    const library = koffi.load(null);
    return {
      prctl: library.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
      getsockopt: library.func('int getsockopt(int, int, int, _Out_ void *, _Inout_ uint32_t *)'),
      // Variadic, but with a single argument, which Linux passes like any other.
      fcntl: library.func('int fcntl(int, int, int)'),
      ioctl: library.func('int ioctl(int, unsigned long, long)'),
      syscall: library.func('long syscall(long, long, long)'),
      _exit: library.func('void _exit(int)'),
      errno: () => koffi.errno(),
    };
  } catch {
    return undefined;
  }
}
