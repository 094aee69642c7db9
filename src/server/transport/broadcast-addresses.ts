import { networkInterfaces } from 'node:os';
import { parseIp } from '../../address/ip-address.ts';

/**
 * The IPv4 broadcast addresses of this machine's interfaces, as 32-bit words: never a client's address. Interfaces come
 * and go: read them again from time to time.
 */
export class BroadcastAddresses {
  readonly #words = new Set<number>();
  readonly #unreadable: (error: unknown) => void;
  #said = false;

  /** `unreadable` is called once at the most: a sandbox without AF_NETLINK cannot list interfaces. */
  constructor(unreadable: (error: unknown) => void) {
    this.#unreadable = unreadable;
    this.read();
  }

  get words(): ReadonlySet<number> {
    return this.#words;
  }

  read(): void {
    let addresses: ReturnType<typeof networkInterfaces>;
    try {
      addresses = networkInterfaces();
    } catch (error) {
      if (!this.#said) this.#unreadable(error);
      this.#said = true;
      return;
    }
    this.#words.clear();
    for (const { family, address, netmask } of Object.values(addresses).flatMap((list) => list ?? [])) {
      const word = family === 'IPv4' ? parseIp(address)?.w3 : undefined;
      const mask = family === 'IPv4' ? parseIp(netmask)?.w3 : undefined;
      if (word === undefined || mask === undefined) continue;
      // RFC 3021: a /31 and a /32 have no broadcast address.
      if (~mask >>> 0 > 1) this.#words.add((word | ~mask) >>> 0);
    }
  }
}
