import type { IpAddress } from '../../address/ip-address.ts';
import { networkPrefixes } from './source-tree.ts';
import { linkWord, type SourceKey } from './source-prefix.ts';
import type { SharedCounts } from './shared-counts.ts';
import type { SourceHash } from './source-hash.ts';

/**
 * What a cell counts: the clients of an IPv6 /48 or a link, of a /56, of a source, or all of a top-level entry, or the
 * reservations of a proxy.
 */
const salts = { networks: [0x1b873593, 0x2c1b3c6d], source: 0x297a2d39, top: 0x165667b1, proxy: 0x27d4eb2f } as const;

const totalCell = 0;

/**
 * The clients of one service in all processes, by source and network, in cells that a hash chooses. Sources with the
 * same cell count as one for the limits, which is rare and cannot be brought about from outside.
 */
export class SharedPlaces {
  readonly #counts: SharedCounts;
  readonly #hash: SourceHash;

  constructor(counts: SharedCounts, hash: SourceHash) {
    this.#counts = counts;
    this.#hash = hash;
  }

  /** Clients of the other processes. */
  get others(): number {
    return this.#counts.others(totalCell);
  }

  /** Clients of the other processes from the top-level entry of a `SourceTree` that contains the source. */
  othersAtTop(source: SourceKey): number {
    return this.#counts.others(this.#topCell(source));
  }

  /** Adds a client, of which nothing else is known, unless there are `limit` already. `here`: those of this process. */
  take(here: number, limit: number): boolean {
    return this.#counts.take(totalCell, here, limit);
  }

  add(): void {
    this.#counts.add(totalCell);
  }

  release(): void {
    this.#counts.release(totalCell);
  }

  /**
   * Adds a client to its source and to the networks above, unless one of them is at its limit. `here` has the clients
   * of this process for each of them, the source last. The limits are in the same order.
   */
  takeSource(source: SourceKey, here: readonly number[], limits: readonly number[]): boolean {
    const depth = here.length;
    for (let level = 0; level < depth; level += 1) {
      if (this.#counts.take(this.#cellAt(source, level, depth), here[level]!, limits[level]!)) continue;
      this.releaseSource(source, depth, level);
      return false;
    }
    return true;
  }

  addSource(source: SourceKey, depth: number): void {
    for (let level = 0; level < depth; level += 1) this.#counts.add(this.#cellAt(source, level, depth));
  }

  /** `levels`: how many of its networks and itself it had been added to. */
  releaseSource(source: SourceKey, depth: number, levels: number = depth): void {
    for (let level = 0; level < levels; level += 1) this.#counts.release(this.#cellAt(source, level, depth));
  }

  /** Reservations of the proxy in the other processes. */
  othersOfProxy(proxy: IpAddress): number {
    return this.#counts.others(this.#proxyCell(proxy));
  }

  addOfProxy(proxy: IpAddress): void {
    this.#counts.add(this.#proxyCell(proxy));
  }

  releaseOfProxy(proxy: IpAddress): void {
    this.#counts.release(this.#proxyCell(proxy));
  }

  addAtTop(source: SourceKey): void {
    this.#counts.add(this.#topCell(source));
  }

  releaseAtTop(source: SourceKey): void {
    this.#counts.release(this.#topCell(source));
  }

  /** Of one of the networks above a source, the largest first, or at the end of the source itself. */
  #cellAt({ high, low, hostHigh, hostLow }: SourceKey, level: number, depth: number): number {
    if (level === depth - 1) return this.#cell(this.#hash.of(high, low, hostHigh, hostLow), salts.source);
    const network = high === linkWord ? low : (low & (-1 << (64 - networkPrefixes[level]!))) >>> 0;
    return this.#cell(this.#hash.of(high, network), salts.networks[level]!);
  }

  #topCell({ high, low }: SourceKey): number {
    const isIpv6 = high < linkWord;
    return this.#cell(this.#hash.of(high, isIpv6 ? (low & 0xffff0000) >>> 0 : low), salts.top);
  }

  #proxyCell({ w0, w1, w2, w3, zone = 0 }: IpAddress): number {
    return this.#cell(this.#hash.of(w0, (w1 ^ zone) >>> 0, w2, w3), salts.proxy);
  }

  #cell(hash: number, level: number): number {
    return 1 + (((hash ^ level) >>> 0) % (this.#counts.length - 1));
  }
}
