import type { IpAddress } from '../address/ip-address.ts';
import { type Libc, requireLibc } from './libc.ts';
import { NetlinkDump } from './netlink-dump.ts';
import { AF_INET } from './socket-address.ts';

// linux/rtnetlink.h, linux/if.h. The body is `struct ifinfomsg`.
const interfaces = { request: 18, answer: 16, bodyBytes: 16, mostReads: 128 };
const indexOffset = 4;
const flagsOffset = 8;
/** IFF_LOOPBACK, IFF_POINTOPOINT and IFF_NOARP: nothing that is sent there waits for a link address. */
const withoutLinkAddresses = 0x8 | 0x10 | 0x80;

// The body is `struct rtmsg`. About 8,000 routes are enough, and take a hundredth of a second.
const routes = { request: 26, answer: 24, bodyBytes: 12, mostReads: 16 };
const prefixOffset = 1;
const typeOffset = 7;
const RTN_UNICAST = 1;
const RTA_DST = 1;
const RTA_OIF = 4;
/** RTA_GATEWAY, RTA_MULTIPATH, RTA_VIA and RTA_NH_ID: a router is between. */
const throughRouter: ReadonlySet<number> = new Set([5, 9, 18, 30]);

/** The networks that are reached without a router, over links whose hosts have link addresses (ARP, NDP). */
export class LinkRoutes {
  readonly #interfaces: NetlinkDump;
  readonly #routes: NetlinkDump;

  constructor(functions: Libc) {
    this.#interfaces = new NetlinkDump(functions, interfaces);
    this.#routes = new NetlinkDump(functions, routes);
  }

  /**
   * Calls `found` for each, with the length of its prefix, where an IPv4 address counts as the mapped IPv6 address. Not
   * for default routes. Finds none if the system does not tell.
   */
  read(found: (network: IpAddress, prefix: number) => void): void {
    const links = this.#readLinks();
    const { view } = this.#routes;
    this.#routes.read((body, attributes, end) => {
      if (view.getUint8(body + typeOffset) !== RTN_UNICAST) return;
      const family = view.getUint8(body);
      const prefix = view.getUint8(body + prefixOffset) + (family === AF_INET ? 96 : 0);
      let network: IpAddress | undefined;
      let isOnLink = false;
      let isDirect = true;
      this.#routes.eachAttribute(attributes, end, (type, data, bytes) => {
        if (type === RTA_DST) network = this.#routes.addressAt(family, data, bytes);
        else if (type === RTA_OIF) isOnLink = bytes === 4 && links.has(view.getInt32(data, true));
        else if (throughRouter.has(type)) isDirect = false;
      });
      if (network !== undefined && isOnLink && isDirect && prefix <= 128) found(network, prefix);
    });
  }

  /** Indices of the interfaces whose hosts have link addresses. */
  #readLinks(): ReadonlySet<number> {
    const links = new Set<number>();
    const { view } = this.#interfaces;
    this.#interfaces.read((body) => {
      if ((view.getUint32(body + flagsOffset, true) & withoutLinkAddresses) === 0)
        links.add(view.getInt32(body + indexOffset, true));
    });
    return links;
  }
}

let shared: LinkRoutes | undefined;

/** Those of this machine. */
export function linkRoutes(): LinkRoutes {
  shared ??= new LinkRoutes(requireLibc());
  return shared;
}
