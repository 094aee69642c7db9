/** The slot that reads each UDP socket, by the id of its listener. */
type Owners = ReadonlyMap<number, number>;

/** Tracks which worker reads a UDP socket. Only one does, so that its replies stay in order. */
export class DatagramOwners {
  #owners: Owners;

  constructor(sockets: readonly number[], slots: number) {
    this.#owners = dealOut(sockets, slots);
  }

  socketsOf(slot: number): ReadonlySet<number> {
    return new Set([...this.#owners].filter(([, owner]) => owner === slot).map(([socket]) => socket));
  }

  readerOf(socket: number): number | undefined {
    return this.#owners.get(socket);
  }

  /** Moves sockets from slots without a process to slots that are ready. Returns what each of these gains. */
  reassign(alive: ReadonlySet<number>, ready: readonly number[]): ReadonlyMap<number, ReadonlySet<number>> {
    const before = this.#owners;
    this.#owners = reassign(before, alive, ready);
    const gained = (slot: number): ReadonlySet<number> =>
      new Set([...this.socketsOf(slot)].filter((socket) => before.get(socket) !== slot));
    return new Map(ready.map((slot) => [slot, gained(slot)]));
  }
}

/** Distributes sockets over the slots, round robin. */
export function dealOut(sockets: readonly number[], slots: number): Owners {
  return new Map(sockets.map((socket, index) => [socket, index % slots]));
}

/** Moves the sockets of slots without a process evenly to those that are ready. While none is ready, nothing moves. */
export function reassign(owners: Owners, alive: ReadonlySet<number>, ready: readonly number[]): Owners {
  if (ready.length === 0) return owners;
  const load = new Map(ready.map((slot) => [slot, 0]));
  for (const slot of owners.values()) if (load.has(slot)) load.set(slot, (load.get(slot) ?? 0) + 1);
  const next = new Map(owners);
  for (const [socket, slot] of owners) {
    if (alive.has(slot)) continue;
    const heir = ready.reduce((least, each) => ((load.get(each) ?? 0) < (load.get(least) ?? 0) ? each : least));
    load.set(heir, (load.get(heir) ?? 0) + 1);
    next.set(socket, heir);
  }
  return next;
}
