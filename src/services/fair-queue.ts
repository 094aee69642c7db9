/** Items that wait, of which those who wait get one each in turn, however many some of them have. */
export class FairQueue<Item> {
  readonly #limits: { readonly ofOne: number; readonly ofAll: number };
  /** By who waits, the one whose turn is next first. */
  readonly #queues = new Map<string, Item[]>();
  #size = 0;

  constructor(limits: { readonly ofOne: number; readonly ofAll: number }) {
    this.#limits = limits;
  }

  /**
   * Adds an item. If all places are taken, the last item of whoever has most makes room, and is returned. Returns
   * `refused` if they have no more than the newcomer would have then, or who has as many as one may.
   */
  add(who: string, item: Item): 'refused' | Item | undefined {
    const queue = this.#queues.get(who) ?? [];
    if (queue.length === this.#limits.ofOne) return 'refused';
    let displaced: Item | undefined;
    if (this.#size === this.#limits.ofAll) {
      const largest = [...this.#queues.values()].reduce((one, other) => (other.length > one.length ? other : one), []);
      if (largest.length <= queue.length + 1) return 'refused';
      displaced = largest.pop();
      this.#size -= 1;
    }
    queue.push(item);
    this.#queues.set(who, queue);
    this.#size += 1;
    return displaced;
  }

  /** Takes up to `count` items, in turn. */
  take(count: number): readonly Item[] {
    const taken: Item[] = [];
    while (taken.length < count) {
      const [first] = this.#queues;
      if (first === undefined) break;
      const [who, queue] = first;
      taken.push(...queue.splice(0, 1));
      this.#queues.delete(who);
      if (queue.length > 0) this.#queues.set(who, queue);
    }
    this.#size -= taken.length;
    return taken;
  }

  /** Removes the items for which `isGone` is true. */
  remove(who: string, isGone: (item: Item) => boolean): void {
    const queue = this.#queues.get(who) ?? [];
    const left = queue.filter((item) => !isGone(item));
    this.#size -= queue.length - left.length;
    if (left.length > 0) this.#queues.set(who, left);
    else this.#queues.delete(who);
  }
}
