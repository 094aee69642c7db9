import type { Clock } from '../../clock/clock.ts';

/** One piece of an answer is sent in this time, which allows 64 MB a second. */
const periodMs = 1;

/**
 * Sends long answers, or reads what nobody needs, in turns. The kernel may take megabytes for a client that never
 * reads, and hold as much of one that never stops. Copying them costs CPU time that others need: health probes, and the
 * clients of services if the same process serves both. What has begun is finished before the next begins, except while
 * its client does not keep up.
 */
export class Turns<Waiting> {
  readonly #clock: Clock;
  /** Whose answers have begun. Waiting longest first, as in the other. */
  readonly #begun = new Map<Waiting, () => void>();
  readonly #others = new Map<Waiting, () => void>();
  /** The next turn has been set. */
  #isDue = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `send` when it is their turn. */
  wait(waiting: Waiting, hasBegun: boolean, send: () => void): void {
    (hasBegun ? this.#begun : this.#others).set(waiting, send);
    this.#setNext();
  }

  /** They no longer want a turn. */
  leave(waiting: Waiting): void {
    this.#begun.delete(waiting);
    this.#others.delete(waiting);
  }

  #setNext(): void {
    if (this.#isDue || this.#begun.size + this.#others.size === 0) return;
    this.#isDue = true;
    this.#clock.after(periodMs, () => this.#next());
  }

  #next(): void {
    this.#isDue = false;
    const queue = this.#begun.size > 0 ? this.#begun : this.#others;
    const [first] = queue;
    if (first === undefined) return;
    const [waiting, send] = first;
    queue.delete(waiting);
    this.#setNext();
    send();
  }
}
