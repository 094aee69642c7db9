import { closeSync } from 'node:fs';
import { type Libc, libc, type Pointer } from './libc.ts';
import { systemError } from './system-error.ts';

// sys/epoll.h
const EPOLL_CLOEXEC = 0x80000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;

/** `struct epoll_event` is packed on x86-64 only: epoll_event(3type). */
const eventBytes = process.arch === 'x64' ? 12 : 16;
const dataOffset = process.arch === 'x64' ? 4 : 8;

/** Descriptors handled in one turn of the event loop. The others come in the next, so timers get their turn, too. */
const eventsPerTurn = 64;

/** Stops watching a descriptor, and closes it. */
export type StopWatching = () => void;

interface Watched {
  readonly descriptor: number;
  readonly ready: () => void;
}

/**
 * Tells which of this process's descriptors are readable. One epoll set holds all of them, and libuv watches that one
 * descriptor, so a turn of Node's event loop costs one system call for all sockets. Main thread only, which alone runs
 * libuv's default loop.
 */
class Readiness {
  readonly #libc: Libc;
  readonly #epoll: number;
  readonly #events: { readonly address: Pointer; readonly buffer: ArrayBuffer };
  readonly #view: DataView;
  readonly #setActive: (isActive: boolean) => void;
  /** By number, which is never used again: an event of a closed descriptor must not reach a later one. */
  readonly #watched = new Map<number, Watched>();
  #numbers = 0;

  constructor(functions: Libc) {
    this.#libc = functions;
    this.#epoll = functions.epoll_create1(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw systemError('epoll_create1');
    this.#events = functions.allocate(eventsPerTurn * eventBytes);
    this.#view = new DataView(this.#events.buffer);
    this.#setActive = functions.pollReadable(this.#epoll, () => this.#turn());
  }

  watch(descriptor: number, ready: () => void): StopWatching {
    const number = (this.#numbers += 1);
    this.#control(EPOLL_CTL_ADD, descriptor, number);
    this.#watched.set(number, { descriptor, ready });
    // An active poll keeps the event loop alive.
    if (this.#watched.size === 1) this.#setActive(true);
    return () => {
      if (!this.#watched.delete(number)) return;
      this.#control(EPOLL_CTL_DEL, descriptor, number);
      closeSync(descriptor);
      if (this.#watched.size === 0) this.#setActive(false);
    };
  }

  #control(operation: number, descriptor: number, number: number): void {
    this.#view.setUint32(0, EPOLLIN, true);
    this.#view.setUint32(dataOffset, number, true);
    if (this.#libc.epoll_ctl(this.#epoll, operation, descriptor, this.#events.address) < 0)
      throw systemError('epoll_ctl');
  }

  #turn(): void {
    try {
      const count = this.#libc.epoll_wait(this.#epoll, this.#events.address, eventsPerTurn, 0);
      // Copied first: whoever is called may watch or stop watching, which uses the same memory.
      const numbers = Array.from({ length: Math.max(0, count) }, (_, index) =>
        this.#view.getUint32(index * eventBytes + dataOffset, true),
      );
      for (const number of numbers) this.#watched.get(number)?.ready();
    } catch (error) {
      // In libuv's callback it would end the process without a word.
      setImmediate(() => {
        throw error;
      });
    }
    // Since Node 26, promises settled in here would wait for another callback of Node's.
    setImmediate(nothing);
  }
}

function nothing(): void {}

let readiness: Readiness | undefined;

/**
 * Calls `ready` whenever the descriptor is readable, at most once in a turn of the event loop. Returns a function that
 * stops this and closes the descriptor. Throws an error with the system's code.
 */
export function watchReadable(descriptor: number, ready: () => void): StopWatching {
  if (libc === undefined) throw new Error('sockets of our own need koffi, and 64-bit Linux');
  readiness ??= new Readiness(libc);
  return readiness.watch(descriptor, ready);
}
