import { type Sized, SizeOrder } from './size-order.ts';
import { ipv4Word, unixWord } from './source-prefix.ts';

/** The holder of a place, which can be evicted. */
export interface PlaceHolder {
  /** Ends immediately. Must not synchronously take or release a place. */
  evict(): void;
}

/** Prefixes of the networks above IPv6 sources, largest first. Only those shorter than a source's prefix apply. */
export const networkPrefixes = [48, 56] as const;

/** A connection's place within its source. */
export class Place {
  holder: PlaceHolder | undefined;
  /** Neighbors in the idle order of the source. */
  idler: Place | undefined;
  busier: Place | undefined;
  /** The source. */
  readonly high: number;
  readonly low: number;
  readonly isExempt: boolean;
  #node: SourceNode | undefined;

  constructor(node: SourceNode, isExempt: boolean) {
    this.#node = node;
    this.high = node.high;
    this.low = node.low;
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
 * Connections by source, identified by the two words of `SourceMask`, and by surrounding network. The top level is an
 * IPv6 /48, an IPv4 source or a UNIX user. Per-client operations take constant time.
 */
export class SourceTree {
  readonly #root = new SourceNode(undefined, 0, 0, 0);
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

  /** Connections of the largest network or source at the top level. */
  get largest(): { readonly high: number; readonly low: number; readonly size: number } | undefined {
    return this.#root.largest;
  }

  add(high: number, low: number): Place {
    const levels = this.levels(high);
    let node = this.#root;
    for (let level = 0; level < levels; level++) node = node.open(keyAt(high, low, level), high, low);
    return new Place(node, this.#isExempt);
  }

  /** Connections of the top-level entry that contains the source. */
  sizeOf(high: number, low: number): number {
    return this.#root.at(keyAt(high, low, 0))?.size ?? 0;
  }

  /** Connections of the networks that contain the source, the largest first, and of the source itself. */
  sizesOf(high: number, low: number): readonly number[] {
    const sizes: number[] = [];
    let node: SourceNode | undefined = this.#root;
    for (let level = 0; level < this.levels(high); level++) {
      node = node?.at(keyAt(high, low, level));
      sizes.push(node?.size ?? 0);
    }
    return sizes;
  }

  /** The place idle longest within the largest source, which is searched from the top level down. */
  idlestOfLargest(): Place | undefined {
    let node = this.#root;
    for (let next = node.largest; next !== undefined; next = node.largest) node = next;
    return node.idlest;
  }

  sources(): Iterable<SourceNode> {
    return this.#root.sources();
  }

  /** The number of levels of a source, including itself. */
  levels(high: number): number {
    return high >= unixWord ? 1 : this.#ipv6Levels;
  }
}

/** A network, or at the end of a branch a source, which has places instead of children. */
class SourceNode implements Sized {
  readonly high: number;
  readonly low: number;
  size = 0;
  rank = 0;
  /** The first and last of its places, by idle time. */
  idlest: Place | undefined;
  busiest: Place | undefined;
  readonly #parent: SourceNode | undefined;
  /** Key in the parent. */
  readonly #key: number;
  #children: Map<number, SourceNode> | undefined;
  #bySize: SizeOrder<SourceNode> | undefined;

  constructor(parent: SourceNode | undefined, key: number, high: number, low: number) {
    this.#parent = parent;
    this.#key = key;
    this.high = high;
    this.low = low;
  }

  get largest(): SourceNode | undefined {
    return this.#bySize?.largest;
  }

  at(key: number): SourceNode | undefined {
    return this.#children?.get(key);
  }

  /** Returns the child with this key. A new one must grow immediately. */
  open(key: number, high: number, low: number): SourceNode {
    this.#children ??= new Map();
    let child = this.#children.get(key);
    if (child === undefined) {
      child = new SourceNode(this, key, high, low);
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

/** The bits that tell sources apart at a level: for IPv6, 48 bits at the top, level 0, and 8 at each level below. */
function keyAt(high: number, low: number, level: number): number {
  if (level === 1) return (low >>> 8) & 0xff;
  if (level === 2) return low & 0xff;
  if (high === ipv4Word) return low;
  return high === unixWord ? 2 ** 32 + low : 2 ** 33 + high * 2 ** 16 + (low >>> 16);
}
