import { assertDescriptor } from './arguments.ts';
import { type Libc, type Pointer, requireLibc } from './libc.ts';
import { systemError } from './system-error.ts';

// sys/epoll.h
const EPOLL_CLOEXEC = 0x80000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

/** There is something to read, or to accept. */
export const readable = 1;
/** There is room to write. */
export const writable = 4;
/** The connection has failed. Reported always. */
export const failed = 8;
/** Both directions are closed. Reported always. */
export const hungUp = 0x10;
/**
 * Of several processes that wait for the same socket, wake only some: EPOLLEXCLUSIVE in epoll_ctl(2). As libuv waits
 * for our set in one of its own, the kernel still wakes all (measured on Linux 6.18); those that come late find
 * nothing.
 */
export const exclusive = 2 ** 28;

/** `struct epoll_event` is packed on x86-64 only: epoll_event(3type). */
const eventBytes = process.arch === 'x64' ? 12 : 16;
const dataOffset = process.arch === 'x64' ? 4 : 8;

/** Descriptors handled in one turn of the event loop. The others come in the next, so timers get their turn, too. */
const eventsPerTurn = 64;

/** Who is told what can be done with a descriptor. */
export interface Watcher {
  /** `events` are bits of those above. Called at most once in a turn of the event loop. */
  ready(events: number): void;
}

/**
 * Tells what this process's descriptors are ready for. One epoll set holds all of them, and libuv watches that one
 * descriptor, so a turn of Node's event loop costs one system call for all sockets. Main thread only, which alone runs
 * libuv's default loop.
 */
export class Readiness {
  readonly #libc: Libc;
  readonly #epoll: number;
  readonly #events: { readonly address: Pointer; readonly buffer: ArrayBuffer };
  readonly #view: DataView;
  readonly #setActive: (isActive: boolean) => void;
  /** By number, which is never used again: an event of a closed descriptor must not reach a later one. */
  readonly #watchers = new Map<number, Watcher>();
  readonly #numbers = new Uint32Array(eventsPerTurn);
  readonly #bits = new Uint32Array(eventsPerTurn);
  #lastNumber = 0;

  constructor(functions: Libc) {
    this.#libc = functions;
    this.#epoll = functions.epoll_create1(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw systemError('epoll_create1');
    this.#events = functions.allocate(eventsPerTurn * eventBytes);
    this.#view = new DataView(this.#events.buffer);
    this.#setActive = functions.pollReadable(this.#epoll, () => this.#turn());
  }

  /** Returns a number, at least 1, for the calls below. Throws an error with the system's code. */
  watch(descriptor: number, interest: number, watcher: Watcher): number {
    assertDescriptor(descriptor);
    let number = this.#lastNumber;
    do number = (number + 1) >>> 0;
    while (number === 0 || this.#watchers.has(number));
    this.#lastNumber = number;
    this.#control(EPOLL_CTL_ADD, descriptor, number, interest);
    this.#watchers.set(number, watcher);
    // An active poll keeps the event loop alive.
    if (this.#watchers.size === 1) this.#setActive(true);
    return number;
  }

  change(number: number, descriptor: number, interest: number): void {
    this.#control(EPOLL_CTL_MOD, descriptor, number, interest);
  }

  /** Call before the descriptor is closed: other processes may have copies, which would keep it in the set. */
  unwatch(number: number, descriptor: number): void {
    this.#control(EPOLL_CTL_DEL, descriptor, number, 0);
    this.forget(number);
  }

  /** Call for a descriptor that only this process has, and that is closed: that removes it from the set. */
  forget(number: number): void {
    this.#watchers.delete(number);
    if (this.#watchers.size === 0) this.#setActive(false);
  }

  #control(operation: number, descriptor: number, number: number, interest: number): void {
    this.#view.setUint32(0, interest, true);
    this.#view.setUint32(dataOffset, number, true);
    if (this.#libc.epoll_ctl(this.#epoll, operation, descriptor, this.#events.address) < 0)
      throw systemError('epoll_ctl');
  }

  #turn(): void {
    const count = Math.max(0, this.#libc.epoll_wait(this.#epoll, this.#events.address, eventsPerTurn, 0));
    // Copied first: whoever is called may watch or stop watching, which uses the same memory.
    for (let index = 0; index < count; index += 1) {
      this.#bits[index] = this.#view.getUint32(index * eventBytes, true);
      this.#numbers[index] = this.#view.getUint32(index * eventBytes + dataOffset, true);
    }
    for (let index = 0; index < count; index += 1) {
      try {
        this.#watchers.get(this.#numbers[index]!)?.ready(this.#bits[index]!);
      } catch (error) {
        // In libuv's callback it would end the process without a word.
        setImmediate(() => {
          throw error;
        });
      }
    }
    // Since Node 26, promises settled in here would wait for another callback of Node's.
    setImmediate(nothing);
  }
}

function nothing(): void {}

let shared: Readiness | undefined;

/** The set of this process. */
export function readiness(): Readiness {
  shared ??= new Readiness(requireLibc());
  return shared;
}
