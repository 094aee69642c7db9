import type { IpAddress } from '../../address/ip-address.ts';
import { type Sized, SizeOrder } from './size-order.ts';
import type { PlaceHolder } from './source-tree.ts';

/** A place for the client of a proxy that has not said yet who the client is. */
export class Reservation {
  holder: PlaceHolder | undefined;
  readonly proxy: WaitingProxy;

  constructor(proxy: WaitingProxy) {
    this.proxy = proxy;
  }
}

/** A proxy with reservations. */
export class WaitingProxy implements Sized {
  readonly address: IpAddress;
  size = 0;
  rank = 0;
  /** The oldest first. */
  readonly reservations = new Set<Reservation>();

  constructor(address: IpAddress) {
    this.address = address;
  }

  get oldest(): Reservation | undefined {
    const [oldest] = this.reservations;
    return oldest;
  }
}

/** Reservations by proxy. Each operation takes constant time. */
export class Reservations {
  readonly #proxies = new Map<string, WaitingProxy>();
  readonly #bySize = new SizeOrder<WaitingProxy>();
  #size = 0;

  /** The number of all reservations. */
  get size(): number {
    return this.#size;
  }

  sizeOf(proxy: IpAddress): number {
    return this.#proxies.get(keyOf(proxy))?.size ?? 0;
  }

  /** The proxy of a rank by reservations, from 0 for the most. */
  largest(rank: number): WaitingProxy | undefined {
    return this.#bySize.at(rank);
  }

  add(address: IpAddress): Reservation {
    const key = keyOf(address);
    let proxy = this.#proxies.get(key);
    if (proxy === undefined) {
      proxy = new WaitingProxy(address);
      this.#proxies.set(key, proxy);
    }
    const reservation = new Reservation(proxy);
    proxy.reservations.add(reservation);
    this.#bySize.grow(proxy);
    this.#size += 1;
    return reservation;
  }

  /** Returns false if it was removed before. */
  remove(reservation: Reservation): boolean {
    const { proxy } = reservation;
    if (!proxy.reservations.delete(reservation)) return false;
    this.#bySize.shrink(proxy);
    if (proxy.size === 0) this.#proxies.delete(keyOf(proxy.address));
    this.#size -= 1;
    return true;
  }
}

function keyOf({ w0, w1, w2, w3, zone = 0 }: IpAddress): string {
  return `${w0},${w1},${w2},${w3},${zone}`;
}
