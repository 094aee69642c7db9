import type { Cancel, Clock } from '../../clock/clock.ts';

/** Something that waits for its time. The queue sets the fields and nobody else does. */
export interface Delayed {
  /** Monotonic. */
  dueMs: number;
  /** Position in the queue, or -1 while it is not there. */
  position: number;
  /** Tells apart what is due at the same time: first in, first out. */
  turn: number;
  /** Called when it is due, after it has left the queue. It may enter again. */
  due(nowMs: number): void;
}

/** What runs in one turn of the event loop. Then sockets get their turn. */
const runsPerTurn = 256;

/** Everything that waits, with one timer for all of it: a binary heap. Nothing is ever early. */
export class DelayQueue {
  readonly #clock: Clock;
  readonly #heap: Delayed[] = [];
  #turns = 0;
  #cancel: Cancel | undefined;
  /** When the timer fires; Infinity if there is none. */
  #armedMs = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get length(): number {
    return this.#heap.length;
  }

  /** Monotonic. */
  get nowMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Lets something wait until `dueMs`. If it waits already, for that time instead. */
  set(item: Delayed, dueMs: number): void {
    if (item.position >= 0 && item.dueMs === dueMs) return;
    this.#takeOut(item);
    item.dueMs = dueMs;
    item.turn = this.#turns++;
    item.position = this.#heap.push(item) - 1;
    this.#rise(item);
    this.#arm();
  }

  /** Does nothing if it does not wait. */
  remove(item: Delayed): void {
    if (item.position < 0) return;
    this.#takeOut(item);
    this.#arm();
  }

  #run(): void {
    this.#armedMs = Infinity;
    this.#cancel = undefined;
    const nowMs = this.nowMs;
    for (let runs = 0; runs < runsPerTurn; runs += 1) {
      const first = this.#heap[0];
      if (first === undefined || first.dueMs > nowMs) break;
      this.#takeOut(first);
      first.due(nowMs);
    }
    this.#arm();
  }

  /** A timer that fires for nothing costs less than one that is replaced for each item. */
  #arm(): void {
    const dueMs = this.#heap[0]?.dueMs ?? Infinity;
    if (dueMs === Infinity) {
      this.#cancel?.();
      this.#cancel = undefined;
      this.#armedMs = Infinity;
      return;
    }
    if (dueMs >= this.#armedMs) return;
    this.#cancel?.();
    this.#armedMs = dueMs;
    this.#cancel = this.#clock.after(Math.max(1, Math.ceil(dueMs - this.nowMs)), () => this.#run());
  }

  /** Moves the last one into the gap. */
  #takeOut(item: Delayed): void {
    const { position } = item;
    if (position < 0) return;
    item.position = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === item) return;
    this.#put(last, position);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(item: Delayed): void {
    while (item.position > 0) {
      const parent = this.#heap[(item.position - 1) >>> 1]!;
      if (!isBefore(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #sink(item: Delayed): void {
    for (;;) {
      const left = this.#heap[2 * item.position + 1];
      const right = this.#heap[2 * item.position + 2];
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, item)) return;
      this.#swap(item, child);
    }
  }

  #swap(one: Delayed, other: Delayed): void {
    const { position } = one;
    this.#put(one, other.position);
    this.#put(other, position);
  }

  #put(item: Delayed, position: number): void {
    this.#heap[position] = item;
    item.position = position;
  }
}

function isBefore(one: Delayed, other: Delayed): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.turn < other.turn);
}
