import { type Sized, SizeOrder } from './size-order.ts';
import { ipv4Word, linkWord, type SourceKey, unixWord } from './source-prefix.ts';

/** The holder of a place, which can be evicted. */
export interface PlaceHolder {
  /** Ends immediately. Must not synchronously take or release a place. */
  evict(): void;
}

/** Prefixes of the networks above IPv6 sources, largest first. Only those shorter than a source's prefix apply. */
export const networkPrefixes = [48, 56] as const;

/** A network or source at the top level of a tree. */
export interface TopSource {
  /** In a network, one of its sources. */
  readonly source: SourceKey;
  readonly size: number;
  /** The place idle longest within its largest source, which is searched from the top level down. */
  idlestOfLargest(): Place | undefined;
}

/** A connection's place within its source. */
export class Place {
  holder: PlaceHolder | undefined;
  /** Neighbors in the idle order of the source. */
  idler: Place | undefined;
  busier: Place | undefined;
  /** The source. */
  readonly source: SourceKey;
  readonly isExempt: boolean;
  #node: SourceNode | undefined;

  constructor(node: SourceNode, isExempt: boolean) {
    this.#node = node;
    this.source = node.source;
    this.isExempt = isExempt;
    node.append(this);
    node.grow();
  }

  /** Records that the client has just sent or accepted data. */
  renew(): void {
    if (this.#node === undefined || this.#node.busiest === this) return;
    this.#node.unlink(this);
    this.#node.append(this);
  }

  /** Gives up the place. Returns false if that has already happened. */
  leave(): boolean {
    const node = this.#node;
    if (node === undefined) return false;
    this.#node = undefined;
    node.unlink(this);
    node.shrink();
    return true;
  }
}

/**
 * Connections by source, and by surrounding network. The top level is an IPv6 /48, a link (the network around its
 * link-local hosts), an IPv4 source or a UNIX user. Per-client operations take constant time.
 */
export class SourceTree {
  readonly #root = new SourceNode(undefined, 0, { high: 0, low: 0, hostHigh: 0, hostLow: 0 });
  /** The number of levels for IPv6, including the source. */
  readonly #ipv6Levels: number;
  readonly #isExempt: boolean;

  /** `ipv6Prefix` is the prefix length of an IPv6 source, 1 to 64. `isExempt`: no limit applies to these sources. */
  constructor(ipv6Prefix: number, isExempt: boolean = false) {
    this.#isExempt = isExempt;
    this.#ipv6Levels = 1 + networkPrefixes.filter((prefix) => prefix < ipv6Prefix).length;
  }

  /** Total number of connections. */
  get size(): number {
    return this.#root.size;
  }

  /** The network or source of a rank by size at the top level, from 0 for the largest. */
  largest(rank: number): TopSource | undefined {
    return this.#root.largest(rank);
  }

  add(source: SourceKey): Place {
    const levels = this.levels(source);
    let node = this.#root;
    for (let level = 0; level < levels; level++) node = node.open(keyAt(source, level), source);
    return new Place(node, this.#isExempt);
  }

  /** Connections of the top-level entry that contains the source. */
  sizeOf(source: SourceKey): number {
    return this.#root.at(keyAt(source, 0))?.size ?? 0;
  }

  /** Connections of the networks that contain the source, the largest first, and of the source itself. */
  sizesOf(source: SourceKey): readonly number[] {
    const sizes: number[] = [];
    let node: SourceNode | undefined = this.#root;
    for (let level = 0; level < this.levels(source); level++) {
      node = node?.at(keyAt(source, level));
      sizes.push(node?.size ?? 0);
    }
    return sizes;
  }

  sources(): Iterable<SourceNode> {
    return this.#root.sources();
  }

  /** The number of levels of a source, including itself. */
  levels({ high }: SourceKey): number {
    if (high === linkWord) return 2;
    return high >= unixWord ? 1 : this.#ipv6Levels;
  }
}

/** A network, or at the end of a branch a source, which has places instead of children. */
class SourceNode implements Sized, TopSource {
  /** The source; in a network, one of its sources. */
  readonly source: SourceKey;
  size = 0;
  rank = 0;
  /** The first and last of its places, by idle time. */
  idlest: Place | undefined;
  busiest: Place | undefined;
  readonly #parent: SourceNode | undefined;
  /** Key in the parent. */
  readonly #key: number | bigint;
  #children: Map<number | bigint, SourceNode> | undefined;
  #bySize: SizeOrder<SourceNode> | undefined;

  constructor(parent: SourceNode | undefined, key: number | bigint, source: SourceKey) {
    this.#parent = parent;
    this.#key = key;
    this.source = source;
  }

  largest(rank: number): SourceNode | undefined {
    return this.#bySize?.at(rank);
  }

  idlestOfLargest(): Place | undefined {
    return this.largest(0)?.idlestOfLargest() ?? this.idlest;
  }

  at(key: number | bigint): SourceNode | undefined {
    return this.#children?.get(key);
  }

  /** Returns the child with this key. A new one must grow immediately. */
  open(key: number | bigint, source: SourceKey): SourceNode {
    this.#children ??= new Map();
    let child = this.#children.get(key);
    if (child === undefined) {
      child = new SourceNode(this, key, source);
      this.#children.set(key, child);
    }
    return child;
  }

  /** Adds a connection here and in all networks above. */
  grow(): void {
    const parent = this.#parent;
    if (parent === undefined) {
      this.size += 1;
      return;
    }
    parent.#bySize ??= new SizeOrder();
    parent.#bySize.grow(this);
    parent.grow();
  }

  /** Removes a connection. Nodes without connections are removed. */
  shrink(): void {
    const parent = this.#parent;
    if (parent === undefined) {
      this.size -= 1;
      return;
    }
    parent.#bySize?.shrink(this);
    if (this.size === 0) parent.#children?.delete(this.#key);
    parent.shrink();
  }

  append(place: Place): void {
    place.idler = this.busiest;
    place.busier = undefined;
    if (this.busiest === undefined) this.idlest = place;
    else this.busiest.busier = place;
    this.busiest = place;
  }

  unlink(place: Place): void {
    const { idler, busier } = place;
    if (idler === undefined) this.idlest = busier;
    else idler.busier = busier;
    if (busier === undefined) this.busiest = idler;
    else busier.idler = idler;
    place.idler = undefined;
    place.busier = undefined;
  }

  *sources(): Generator<SourceNode> {
    if (this.idlest !== undefined) yield this;
    else for (const child of this.#children?.values() ?? []) yield* child.sources();
  }
}

/**
 * The bits that tell sources apart at a level: for IPv6, 48 bits at the top, level 0, and 8 at each level below. For a
 * link-local host, the link, then the host.
 */
function keyAt({ high, low, hostHigh, hostLow }: SourceKey, level: number): number | bigint {
  if (high === linkWord) return level === 0 ? 2 ** 49 + low : (BigInt(hostHigh) << 32n) | BigInt(hostLow);
  if (level === 1) return (low >>> 8) & 0xff;
  if (level === 2) return low & 0xff;
  if (high === ipv4Word) return low;
  return high === unixWord ? 2 ** 32 + low : 2 ** 33 + high * 2 ** 16 + (low >>> 16);
}
