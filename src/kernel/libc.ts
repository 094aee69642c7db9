/**
 * The one file that calls libc, through koffi (https://koffi.dev). A wrong signature here is a segmentation fault, so
 * each function is declared once, with the man page that it follows, and `test/kernel` calls each of them.
 */

/** The functions of libc that are used. A result of -1 is an error, whose number `errno` tells. */
export interface Libc {
  /** prctl(2). The arguments that an operation does not use must be 0. */
  prctl(operation: number, second: number, third: number, fourth: number, fifth: number): number;
  /** getsockopt(2). `length` holds the size of `value` in bytes, and afterwards how much of it was filled. */
  getsockopt(descriptor: number, level: number, name: number, value: Uint8Array, length: Uint32Array): number;
  /** fcntl(2), for operations whose argument is an int. */
  fcntl(descriptor: number, operation: number, argument: number): number;
  /** ioctl(2), for operations that take no argument: it must be 0. */
  ioctl(descriptor: number, operation: number, argument: number): number;
  /** syscall(2), for what libc has no function for; the arguments that are left out are 0. */
  syscall(number: number, first: number, second: number): number;
  /** _exit(2). It does not return. */
  _exit(status: number): void;
  /** Of the call just before. */
  errno(): number;
}

/**
 * Undefined where there is no koffi for this machine, or no 64-bit Linux: the structures are laid out for nothing else.
 */
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
      // Of its variable arguments there is one, which Linux passes as it passes any other.
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
