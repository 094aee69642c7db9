import type { IpAddress } from '../address/ip-address.ts';
import { type Libc, requireLibc } from './libc.ts';
import { NetlinkDump } from './netlink-dump.ts';
import { AF_INET } from './socket-address.ts';

// linux/rtnetlink.h. The body is `struct rtmsg`.
const table = { request: 26, answer: 24, bodyBytes: 12 };
const prefixOffset = 1;
const typeOffset = 7;
const RTN_UNICAST = 1;
const RTA_DST = 1;
/** RTA_GATEWAY, RTA_MULTIPATH, RTA_VIA and RTA_NH_ID: a router is between. */
const throughRouter: ReadonlySet<number> = new Set([5, 9, 18, 30]);

/** The networks that are reached without a router. An address may have one that its own prefix does not show. */
export class LinkRoutes {
  readonly #dump: NetlinkDump;

  constructor(functions: Libc) {
    this.#dump = new NetlinkDump(functions, table);
  }

  /**
   * Calls `found` for each, with the length of its prefix, where an IPv4 address counts as the mapped IPv6 address. Not
   * for a default route, which has no router on a link without link addresses. Finds none if the system does not tell.
   */
  read(found: (network: IpAddress, prefix: number) => void): void {
    const { view } = this.#dump;
    this.#dump.read((body, attributes, end) => {
      if (view.getUint8(body + typeOffset) !== RTN_UNICAST) return;
      const family = view.getUint8(body);
      const prefix = view.getUint8(body + prefixOffset) + (family === AF_INET ? 96 : 0);
      let network: IpAddress | undefined;
      let isDirect = true;
      this.#dump.eachAttribute(attributes, end, (type, data, bytes) => {
        if (type === RTA_DST) network = this.#dump.addressAt(family, data, bytes);
        else if (throughRouter.has(type)) isDirect = false;
      });
      if (network !== undefined && isDirect && prefix <= 128) found(network, prefix);
    });
  }
}

let shared: LinkRoutes | undefined;

/** Those of this machine. */
export function linkRoutes(): LinkRoutes {
  shared ??= new LinkRoutes(requireLibc());
  return shared;
}
