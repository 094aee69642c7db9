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
  /** setsockopt(2). `length` is the size of `value` in bytes. */
  setsockopt(descriptor: number, level: number, name: number, value: Uint8Array, length: number): number;
  /** socket(2). Returns a descriptor. */
  socket(domain: number, type: number, protocol: number): number;
  /** bind(2). `length` is the size of `address` in bytes. */
  bind(descriptor: number, address: Uint8Array, length: number): number;
  /** listen(2). */
  listen(descriptor: number, backlog: number): number;
  /** getsockname(2). `length` holds the size of `address` in bytes, and on return the size of the actual address. */
  getsockname(descriptor: number, address: Uint8Array, length: Uint32Array): number;
  /** if_nametoindex(3). 0 is an error. */
  if_nametoindex(name: string): number;
  /** if_indextoname(3). Null is an error. `name` has 16 bytes. */
  if_indextoname(index: number, name: Uint8Array): unknown;
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
      setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
      socket: library.func('int socket(int, int, int)'),
      bind: library.func('int bind(int, void *, uint32_t)'),
      listen: library.func('int listen(int, int)'),
      getsockname: library.func('int getsockname(int, _Out_ void *, _Inout_ uint32_t *)'),
      if_nametoindex: library.func('uint32_t if_nametoindex(const char *)'),
      if_indextoname: library.func('void *if_indextoname(uint32_t, _Out_ void *)'),
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
