import type { IpAddress } from '../address/ip-address.ts';
import { type Libc, requireLibc } from './libc.ts';
import { NetlinkDump } from './netlink-dump.ts';

// linux/rtnetlink.h, linux/neighbour.h. The body is `struct ndmsg`.
const table = { request: 30, answer: 28, bodyBytes: 12, mostReads: 128 };
const stateOffset = 8;
const NDA_DST = 1;
/** NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_NOARP and NUD_PERMANENT: the kernel has a link address. */
const NUD_VALID = 2 | 4 | 8 | 16 | 64 | 128;

/**
 * The hosts on our links of which the kernel knows the link address (ARP, NDP): whatever is sent to any other waits
 * for up to three seconds for an answer. See rtnetlink(7).
 */
export class Neighbors {
  readonly #dump: NetlinkDump;

  constructor(functions: Libc) {
    this.#dump = new NetlinkDump(functions, table);
  }

  /** Calls `found` for each. Finds nobody if the system does not tell. */
  read(found: (ip: IpAddress) => void): void {
    const { view } = this.#dump;
    this.#dump.read((body, attributes, end) => {
      if ((view.getUint16(body + stateOffset, true) & NUD_VALID) === 0) return;
      const family = view.getUint8(body);
      this.#dump.eachAttribute(attributes, end, (type, data, bytes) => {
        const ip = type === NDA_DST ? this.#dump.addressAt(family, data, bytes) : undefined;
        if (ip !== undefined) found(ip);
      });
    });
  }
}

let shared: Neighbors | undefined;

/** The neighbors of this machine. */
export function neighbors(): Neighbors {
  shared ??= new Neighbors(requireLibc());
  return shared;
}
