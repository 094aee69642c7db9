/**
 * The only file that calls libc, through koffi (https://koffi.dev). A wrong signature here means a segmentation fault,
 * so each function is declared once, with its man page, and `test/kernel` calls each of them.
 */
import { endianness } from 'node:os';
import { isMainThread } from 'node:worker_threads';

// uv.h
const UV_POLL = 8;
const UV_READABLE = 1;
// sys/mman.h
const MAP_FAILED = -1n;

/** An address in memory. */
export type Pointer = bigint;

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
  /** socketpair(2). `descriptors` is an array of two ints, which it fills. */
  socketpair(domain: number, type: number, protocol: number, descriptors: Uint8Array): number;
  /** bind(2). `length` is the size of `address` in bytes. */
  bind(descriptor: number, address: Uint8Array, length: number): number;
  /** connect(2). `length` is the size of `address` in bytes. */
  connect(descriptor: number, address: Uint8Array, length: number): number;
  /** listen(2). */
  listen(descriptor: number, backlog: number): number;
  /** getsockname(2). `length` holds the size of `address` in bytes, and on return the size of the actual address. */
  getsockname(descriptor: number, address: Uint8Array, length: Uint32Array): number;
  /** accept4(2). Returns a descriptor. `length` holds the size of `address` in bytes, and on return the actual one. */
  accept4(descriptor: number, address: Uint8Array, length: Uint32Array, flags: number): number;
  /** recv(2). Returns how many bytes were received. */
  recv(descriptor: number, buffer: Pointer, length: number, flags: number): number;
  /** send(2). Returns how many bytes were sent. */
  send(descriptor: number, bytes: Uint8Array, length: number, flags: number): number;
  /** shutdown(2). */
  shutdown(descriptor: number, how: number): number;
  /** recvmmsg(2). `messages` is an array of `struct mmsghdr`. Returns how many datagrams were received. */
  recvmmsg(descriptor: number, messages: Pointer, count: number, flags: number, timeout: null): number;
  /** sendmmsg(2). `messages` is an array of `struct mmsghdr`. Returns how many datagrams were sent. */
  sendmmsg(descriptor: number, messages: Pointer, count: number, flags: number): number;
  /** epoll_create1(2). Returns a descriptor. */
  epoll_create1(flags: number): number;
  /** epoll_ctl(2). `event` is a `struct epoll_event`. */
  epoll_ctl(epoll: number, operation: number, descriptor: number, event: Pointer): number;
  /** epoll_wait(2). `events` is an array of `struct epoll_event`. Returns how many are filled. */
  epoll_wait(epoll: number, events: Pointer, count: number, timeoutMs: number): number;
  /** if_nametoindex(3). 0 is an error. */
  if_nametoindex(name: string): number;
  /** if_indextoname(3). Null is an error. `name` has 16 bytes. */
  if_indextoname(index: number, name: Uint8Array): unknown;
  /** Memory that is never moved or freed, filled with 0. Throws if there is none. */
  allocate(bytes: number): { readonly address: Pointer; readonly buffer: ArrayBuffer };
  /**
   * uv_poll_t: makes libuv call `ready` on the main thread whenever the descriptor is readable. Returns a function that
   * resumes and pauses this; it is paused at first. The descriptor must stay open. An exception in `ready` would end
   * the process. https://docs.libuv.org/en/v1.x/poll.html
   */
  pollReadable(descriptor: number, ready: () => void): (isActive: boolean) => void;
  /** fcntl(2), for operations with an int argument. */
  fcntl(descriptor: number, operation: number, argument: number): number;
  /** ioctl(2). `argument` is the address of what the operation reads or fills; 0 if it has none. */
  ioctl(descriptor: number, operation: number, argument: Pointer | 0): number;
  /** clock_gettime(2). `time` is a `struct timespec`, which it fills. */
  clock_gettime(clock: number, time: Uint8Array): number;
  /** adjtimex(2). `state` is a `struct timex`, which it fills. A result of 0 or more is the state of the clock. */
  adjtimex(state: Uint8Array): number;
  /** memfd_create(2). Returns a descriptor. */
  memfd_create(name: string, flags: number): number;
  /** ftruncate(2). */
  ftruncate(descriptor: number, length: number): number;
  /** mmap(2) of a file from its start, at any address. Undefined is an error. */
  mapShared(descriptor: number, length: number, protection: number, flags: number): ArrayBuffer | undefined;
  /** syscall(2), for system calls without a libc function. Unused arguments must be 0. */
  syscall(number: number, first: number, second: number, third: number, fourth: number): number;
  /** _exit(2). Does not return. */
  _exit(status: number): void;
  /** The error of the preceding call. */
  errno(): number;
}

/**
 * Undefined without koffi for this machine, and except on 64-bit little-endian Linux, for which the structures are laid
 * out. Undefined in any other thread than the main one, whose event loop calls `pollReadable` back.
 */
export const libc: Libc | undefined = await load();

/** What it takes to have them. */
export const libcNeeds = '64-bit Linux, the npm package koffi, and the main thread';

/** Returns the functions, for opening sockets directly. Throws where there are none. */
export function requireLibc(): Libc {
  if (libc === undefined) throw new Error(`opening sockets directly needs ${libcNeeds}`);
  return libc;
}

async function load(): Promise<Libc | undefined> {
  const architectures: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64'];
  if (!isMainThread || process.platform !== 'linux' || !architectures.includes(process.arch) || endianness() === 'BE')
    return undefined;
  try {
    const { default: koffi } = await import('koffi');
    // The node binary is linked with libc.
    const library = koffi.load(null);
    // Exported by the node binary, or by the libuv that it is linked with.
    const uvLoop = library.func('void *uv_default_loop()') as () => Pointer;
    const uvHandleSize = library.func('size_t uv_handle_size(int)') as (type: number) => number;
    const uvPollInit = library.func('int uv_poll_init(void *, void *, int)');
    const uvPollStart = library.func('int uv_poll_start(void *, int, void *)');
    const uvPollStop = library.func('int uv_poll_stop(void *)');
    const mmap = library.func('void *mmap(void *, size_t, int, int, int, int64_t)');
    const uvPollCallback = koffi.pointer(koffi.proto('void', ['void *', 'int', 'int']));
    const allocate: Libc['allocate'] = (bytes) => {
      const address = koffi.address(koffi.alloc('uint8_t', bytes));
      const buffer = koffi.view(address, bytes);
      new Uint8Array(buffer).fill(0);
      return { address, buffer };
    };
    return {
      prctl: library.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
      getsockopt: library.func('int getsockopt(int, int, int, _Out_ void *, _Inout_ uint32_t *)'),
      setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
      socket: library.func('int socket(int, int, int)'),
      socketpair: library.func('int socketpair(int, int, int, _Out_ void *)'),
      bind: library.func('int bind(int, void *, uint32_t)'),
      connect: library.func('int connect(int, void *, uint32_t)'),
      listen: library.func('int listen(int, int)'),
      getsockname: library.func('int getsockname(int, _Out_ void *, _Inout_ uint32_t *)'),
      accept4: library.func('int accept4(int, void *, void *, int)'),
      recv: library.func('int recv(int, void *, uint32_t, int)'),
      send: library.func('int send(int, void *, uint32_t, int)'),
      shutdown: library.func('int shutdown(int, int)'),
      recvmmsg: library.func('int recvmmsg(int, void *, uint32_t, int, void *)'),
      sendmmsg: library.func('int sendmmsg(int, void *, uint32_t, int)'),
      epoll_create1: library.func('int epoll_create1(int)'),
      epoll_ctl: library.func('int epoll_ctl(int, int, int, void *)'),
      epoll_wait: library.func('int epoll_wait(int, void *, int, int)'),
      if_nametoindex: library.func('uint32_t if_nametoindex(const char *)'),
      if_indextoname: library.func('void *if_indextoname(uint32_t, _Out_ void *)'),
      allocate,
      pollReadable(descriptor, ready) {
        const handle = allocate(uvHandleSize(UV_POLL)).address;
        const error = uvPollInit(uvLoop(), handle, descriptor) as number;
        if (error !== 0) throw new Error(`uv_poll_init: ${error}`);
        const callback = koffi.register(ready, uvPollCallback);
        return (isActive) => void (isActive ? uvPollStart(handle, UV_READABLE, callback) : uvPollStop(handle));
      },
      // Variadic, but with a single argument, which Linux passes like any other.
      fcntl: library.func('int fcntl(int, int, int)'),
      ioctl: library.func('int ioctl(int, unsigned long, long)'),
      clock_gettime: library.func('int clock_gettime(int, void *)'),
      adjtimex: library.func('int adjtimex(void *)'),
      memfd_create: library.func('int memfd_create(const char *, uint32_t)'),
      ftruncate: library.func('int ftruncate(int, int64_t)'),
      mapShared(descriptor, length, protection, flags) {
        const address = mmap(null, length, protection, flags, descriptor, 0) as Pointer;
        return BigInt.asIntN(64, address) === MAP_FAILED ? undefined : koffi.view(address, length);
      },
      syscall: library.func('long syscall(long, long, long, long, long)'),
      _exit: library.func('void _exit(int)'),
      errno: () => koffi.errno(),
    };
  } catch {
    return undefined;
  }
}
