import type { Source, SourceKey, SourceMask } from './source-prefix.ts';

/** Whoever was turned away most often lately, for one reason. */
export interface Offender {
  readonly reason: string;
  /** `192.0.2.0/24`, or `port 7` if the source port was the reason. */
  readonly source: string;
  /** An estimate. */
  readonly count: number;
}

/** Of a service: refused clients, and dropped datagrams. */
export interface ServiceOffenders {
  readonly refused: readonly Offender[];
  readonly dropped: readonly Offender[];
}

/** Sums the counts of several processes, and names the first for each reason. */
export function mergeOffenders(parts: readonly (readonly Offender[])[]): readonly Offender[] {
  const sums = new Map<string, Offender>();
  for (const offender of parts.flat()) {
    const key = `${offender.reason} ${offender.source}`;
    sums.set(key, { ...offender, count: offender.count + (sums.get(key)?.count ?? 0) });
  }
  const first = new Map<string, Offender>();
  for (const offender of sums.values())
    if (offender.count > (first.get(offender.reason)?.count ?? -1)) first.set(offender.reason, offender);
  return [...first.values()];
}

/** Sources kept for each reason. */
const slots = 8;

/** Only whoever causes at least this part is named. */
const leastPart = 1 / 8;

/**
 * Who is turned away most often, for each reason, in fixed memory: "Space-Saving" (Metwally, Agrawal, El Abbadi 2005).
 * With `fade` the past counts half as much each time. Nothing is allocated for a client or a datagram.
 */
export class Offenders<Reason extends string> {
  readonly #mask: SourceMask;
  readonly #nameOfZone: (zone: number) => string;
  readonly #tables = new Map<Reason, FrequentSources>();

  constructor(mask: SourceMask, nameOfZone: (zone: number) => string) {
    this.#mask = mask;
    this.#nameOfZone = nameOfZone;
  }

  note(reason: Reason, source: Source, port: number): void {
    let table = this.#tables.get(reason);
    if (table === undefined) {
      table = new FrequentSources();
      this.#tables.set(reason, table);
    }
    const mask = this.#mask;
    if (reason === 'source-port') table.add(port, 0, 0, 0);
    else table.add(mask.high(source), mask.low(source), mask.hostHigh(source), mask.hostLow(source));
  }

  fade(): void {
    for (const [reason, table] of this.#tables) if (!table.fade()) this.#tables.delete(reason);
  }

  /** The first for each reason that has one. */
  get top(): readonly Offender[] {
    return [...this.#tables].flatMap(([reason, table]) => {
      const most = table.most();
      if (most === undefined) return [];
      const { key, count } = most;
      const source = reason === 'source-port' ? `port ${key.high}` : this.#mask.format(key, this.#nameOfZone);
      return [{ reason, source, count }];
    });
  }
}

class FrequentSources {
  readonly #keys = new Uint32Array(4 * slots);
  readonly #counts = new Float64Array(slots);
  /** By how much each count may be too high: what the source found in its slot. */
  readonly #errors = new Float64Array(slots);
  #total = 0;

  add(high: number, low: number, hostHigh: number, hostLow: number): void {
    const keys = this.#keys;
    let fewest = 0;
    this.#total += 1;
    for (let slot = 0; slot < slots; slot += 1) {
      const at = 4 * slot;
      const isSame = keys[at] === high && keys[at + 1] === low && keys[at + 2] === hostHigh && keys[at + 3] === hostLow;
      if (isSame && this.#counts[slot]! > 0) {
        this.#counts[slot]! += 1;
        return;
      }
      if (this.#counts[slot]! < this.#counts[fewest]!) fewest = slot;
    }
    keys[4 * fewest] = high;
    keys[4 * fewest + 1] = low;
    keys[4 * fewest + 2] = hostHigh;
    keys[4 * fewest + 3] = hostLow;
    this.#errors[fewest] = this.#counts[fewest]!;
    this.#counts[fewest]! += 1;
  }

  /** Returns false if nothing is left. */
  fade(): boolean {
    this.#total /= 2;
    for (let slot = 0; slot < slots; slot += 1) {
      this.#counts[slot]! /= 2;
      this.#errors[slot]! /= 2;
    }
    return this.#total >= 1;
  }

  most(): { readonly key: SourceKey; readonly count: number } | undefined {
    let first = 0;
    for (let slot = 1; slot < slots; slot += 1) if (this.#sure(slot) > this.#sure(first)) first = slot;
    if (this.#sure(first) < leastPart * this.#total) return undefined;
    const [high = 0, low = 0, hostHigh = 0, hostLow = 0] = this.#keys.subarray(4 * first);
    return { key: { high, low, hostHigh, hostLow }, count: Math.round(this.#counts[first]!) };
  }

  #sure(slot: number): number {
    return this.#counts[slot]! - this.#errors[slot]!;
  }
}
