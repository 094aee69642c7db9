import { networkInterfaces } from 'node:os';
import { parseIp } from '../../address/ip-address.ts';

/** This machine's IPv4 broadcast addresses, as 32-bit words. No client has one. Refresh them, as interfaces change. */
export class BroadcastAddresses {
  readonly #words = new Set<number>();
  readonly #unreadable: (error: unknown) => void;
  #said = false;

  /** `unreadable` is called at most once. A sandbox without AF_NETLINK cannot list interfaces. */
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
      // A /31 or /32 has no broadcast address (RFC 3021).
      if (~mask >>> 0 > 1) this.#words.add((word | ~mask) >>> 0);
    }
  }
}
