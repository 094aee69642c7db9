import { type Sized, SizeOrder } from './size-order.ts';
import { ipv4Word, unixWord } from './source-prefix.ts';

/** Whoever holds a place, and can be made to give it up. */
export interface PlaceHolder {
  /** Ends at once. Nothing may happen synchronously that asks for a place or gives one back. */
  evict(): void;
}

/** The prefixes of the networks that hold IPv6 sources, the largest first, as far as a source is smaller. */
export const networkPrefixes = [48, 56] as const;

/** The place of one connection among those of its source. */
export class Place {
  holder: PlaceHolder | undefined;
  /** Its neighbors in the order of its source. */
  idler: Place | undefined;
  busier: Place | undefined;
  #node: SourceNode | undefined;

  constructor(node: SourceNode) {
    this.#node = node;
    node.append(this);
    node.grow();
  }

  /** The client has just sent or taken something. */
  renew(): void {
    if (this.#node === undefined || this.#node.busiest === this) return;
    this.#node.unlink(this);
    this.#node.append(this);
  }

  /** Gives the place up. False: that has been done before, and nothing changes. */
  leave(): boolean {
    const node = this.#node;
    if (node === undefined) return false;
    this.#node = undefined;
    node.unlink(this);
    node.shrink();
    return true;
  }
}

/** A source and its connections. */
export interface SourceSize {
  readonly high: number;
  readonly low: number;
  readonly size: number;
}

/**
 * The connections of sources, which are two words as `SourceMask` makes them, and of the networks that hold these. The
 * top level is an IPv6 /48, an IPv4 source, or a UNIX user. What is asked of it while clients come and go costs the
 * same however many there are.
 */
export class SourceTree {
  readonly #root = new SourceNode(undefined, 0, 0, 0);
  /** How many levels an IPv6 source has, itself included. */
  readonly #ipv6Levels: number;

  /** `ipv6Prefix`: the length of an IPv6 source, 1 to 64. */
  constructor(ipv6Prefix: number) {
    this.#ipv6Levels = 1 + networkPrefixes.filter((prefix) => prefix < ipv6Prefix).length;
  }

  /** Connections in all. */
  get size(): number {
    return this.#root.size;
  }

  /** Connections of the largest network or source of the top level. */
  get largest(): number {
    return this.#root.largest?.size ?? 0;
  }

  add(high: number, low: number): Place {
    const levels = this.#levels(high);
    let node = this.#root;
    for (let level = 0; level < levels; level++) node = node.open(keyAt(high, low, level), high, low);
    return new Place(node);
  }

  /** Connections of what holds the source at the top level. */
  sizeOf(high: number, low: number): number {
    return this.#root.at(keyAt(high, low, 0))?.size ?? 0;
  }

  /**
   * Whether the source has `sourceLimit` connections, or one of its networks as many as `networkLimits` has for its
   * level.
   */
  isAtLimit(high: number, low: number, sourceLimit: number, networkLimits: readonly number[]): boolean {
    const last = this.#levels(high) - 1;
    let node: SourceNode | undefined = this.#root;
    for (let level = 0; level <= last; level++) {
      node = node?.at(keyAt(high, low, level));
      const limit = level === last ? sourceLimit : (networkLimits[level] ?? Infinity);
      if ((node?.size ?? 0) >= limit) return true;
    }
    return false;
  }

  /** The place that has been idle longest of those of the largest source, which is sought from the top level down. */
  idlestOfLargest(): Place | undefined {
    let node = this.#root;
    for (let next = node.largest; next !== undefined; next = node.largest) node = next;
    return node.idlest;
  }

  /** Every source that has a connection. */
  sources(): readonly SourceSize[] {
    return [...this.#root.sources()];
  }

  #levels(high: number): number {
    return high >= unixWord ? 1 : this.#ipv6Levels;
  }
}

/** A network, or the source at the end of a branch: then it has places and no children. */
class SourceNode implements Sized {
  size = 0;
  rank = 0;
  /** The first and the last of its places, by how long they have been idle. */
  idlest: Place | undefined;
  busiest: Place | undefined;
  readonly #parent: SourceNode | undefined;
  /** In the parent. */
  readonly #key: number;
  readonly #high: number;
  readonly #low: number;
  #children: Map<number, SourceNode> | undefined;
  #bySize: SizeOrder<SourceNode> | undefined;

  constructor(parent: SourceNode | undefined, key: number, high: number, low: number) {
    this.#parent = parent;
    this.#key = key;
    this.#high = high;
    this.#low = low;
  }

  get largest(): SourceNode | undefined {
    return this.#bySize?.largest;
  }

  at(key: number): SourceNode | undefined {
    return this.#children?.get(key);
  }

  /** The child with that key, a new one if need be: it must grow at once. */
  open(key: number, high: number, low: number): SourceNode {
    this.#children ??= new Map();
    let child = this.#children.get(key);
    if (child === undefined) {
      child = new SourceNode(this, key, high, low);
      this.#children.set(key, child);
    }
    return child;
  }

  /** One connection more, here and in all networks above. */
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

  /** One less. What has none is forgotten. */
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

  *sources(): Generator<SourceSize> {
    if (this.idlest !== undefined) yield { high: this.#high, low: this.#low, size: this.size };
    else for (const child of this.#children?.values() ?? []) yield* child.sources();
  }
}

/**
 * What tells the source from its neighbors at a level; 0 is the top. An IPv6 source has 48 bits there, and 8 at each
 * level below.
 */
function keyAt(high: number, low: number, level: number): number {
  if (level === 1) return (low >>> 8) & 0xff;
  if (level === 2) return low & 0xff;
  if (high === ipv4Word) return low;
  return high === unixWord ? 2 ** 32 + low : 2 ** 33 + high * 2 ** 16 + (low >>> 16);
}
