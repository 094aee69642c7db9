import { cidrContains } from '../../address/cidr.ts';
import { type IpAddress, isMulticast } from '../../address/ip-address.ts';
import type { ProxyRules } from './limits.ts';
import type { ProxyFlows, HostPort } from './proxy-flows.ts';
import { readDatagramHeader } from './proxy-header.ts';

/** What a client has sent through a proxy. */
export interface ProxiedRequest {
  readonly client: HostPort;
  /** The datagram without its header. */
  readonly payload: Uint8Array;
  /** False if the header came with an earlier datagram of the flow. */
  readonly hasHeader: boolean;
}

/**
 * Finds out who sent a datagram through a proxy. Some proxies put a header into each datagram, others only into the
 * first of a flow. The payload of the latter may look like a header, too. That cannot be told apart, so a header always
 * names the client from then on.
 */
export class DatagramIntake {
  readonly #rules: ProxyRules;
  readonly #flows: ProxyFlows;

  constructor(rules: ProxyRules, flows: ProxyFlows) {
    this.#rules = rules;
    this.#flows = flows;
  }

  /**
   * Returns undefined if the datagram is not from a proxy, its header is malformed, or it has none and its flow is not
   * known.
   */
  read(ip: IpAddress, port: number, datagram: Uint8Array): ProxiedRequest | undefined {
    if (!this.#rules.from.some((cidr) => cidrContains(cidr, ip))) return undefined;
    const proxy = { ip, port };
    const header = readDatagramHeader(datagram);
    if (header === 'malformed') return undefined;
    const client = header === 'none' ? this.#flows.find(proxy) : (header.client ?? proxy);
    // As over TCP: the guard uses some multicast addresses for what is not an IPv6 source. Another process may have
    // written one into the memory of the flows.
    if (client === undefined || isMulticast(client.ip)) return undefined;
    if (header === 'none') return { client, payload: datagram, hasHeader: false };
    this.#flows.set(proxy, client);
    return { client, payload: datagram.subarray(header.length), hasHeader: true };
  }
}
