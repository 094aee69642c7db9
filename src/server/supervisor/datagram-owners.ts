/** The slot that reads the UDP sockets of each service. */
type Owners = ReadonlyMap<string, number>;

/**
 * Tracks which worker reads a service's UDP sockets. One worker reads all sockets of a service, so that replies stay in
 * order and its buckets and loop table are exact.
 */
export class DatagramOwners {
  #owners: Owners;

  constructor(services: readonly string[], slots: number) {
    this.#owners = dealOut(services, slots);
  }

  servicesOf(slot: number): ReadonlySet<string> {
    return new Set([...this.#owners].filter(([, owner]) => owner === slot).map(([service]) => service));
  }

  readerOf(service: string): number | undefined {
    return this.#owners.get(service);
  }

  /** Moves services from slots without a process to slots that are ready. Returns what each of these gains. */
  reassign(alive: ReadonlySet<number>, ready: readonly number[]): ReadonlyMap<number, ReadonlySet<string>> {
    const before = this.#owners;
    this.#owners = reassign(before, alive, ready);
    const gained = (slot: number): ReadonlySet<string> =>
      new Set([...this.servicesOf(slot)].filter((service) => before.get(service) !== slot));
    return new Map(ready.map((slot) => [slot, gained(slot)]));
  }
}

/** Distributes services over the slots, round robin. */
export function dealOut(services: readonly string[], slots: number): Owners {
  return new Map(services.map((service, index) => [service, index % slots]));
}

/** Moves the services of slots without a process evenly to those that are ready. While none is ready, nothing moves. */
export function reassign(owners: Owners, alive: ReadonlySet<number>, ready: readonly number[]): Owners {
  if (ready.length === 0) return owners;
  const load = new Map(ready.map((slot) => [slot, 0]));
  for (const slot of owners.values()) if (load.has(slot)) load.set(slot, (load.get(slot) ?? 0) + 1);
  const next = new Map(owners);
  for (const [service, slot] of owners) {
    if (alive.has(slot)) continue;
    const heir = ready.reduce((least, each) => ((load.get(each) ?? 0) < (load.get(least) ?? 0) ? each : least));
    load.set(heir, (load.get(heir) ?? 0) + 1);
    next.set(service, heir);
  }
  return next;
}
