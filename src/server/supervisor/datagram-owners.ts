/**
 * Which worker reads a service's UDP sockets: all of one service's in one worker, so that replies stay in order and its
 * buckets and loop table are exact.
 */
export type DatagramOwners = ReadonlyMap<string, number>;

/** Deals services out over the slots, round robin. */
export function dealOut(services: readonly string[], slots: number): DatagramOwners {
  return new Map(services.map((service, index) => [service, index % slots]));
}

/**
 * Gives the services of slots that have no process to those that are ready, evenly; while none is ready all stay where
 * they are.
 */
export function reassign(owners: DatagramOwners, alive: ReadonlySet<number>, ready: readonly number[]): DatagramOwners {
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
