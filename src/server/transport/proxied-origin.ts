import { formatHostPort } from '../../address/host-port.ts';
import { isIpv4 } from '../../address/ip-address.ts';
import type { DatagramOrigin, PeerAddress } from '../../service.ts';
import type { HostPort } from '../guard/proxy-flows.ts';
import { formatPeer } from './zone.ts';

/** The origin of a datagram that came through a proxy: all but the peer is that of the proxy's datagram. */
export class ProxiedOrigin implements DatagramOrigin {
  readonly #datagram: DatagramOrigin;
  readonly #client: HostPort;

  constructor(datagram: DatagramOrigin, client: HostPort) {
    this.#datagram = datagram;
    this.#client = client;
  }

  get peer(): PeerAddress {
    const { ip, port } = this.#client;
    return { family: isIpv4(ip) ? 'ipv4' : 'ipv6', address: formatPeer(ip), port };
  }

  get via(): string {
    const { address, port } = this.#datagram.peer;
    return formatHostPort(address, port);
  }

  get local(): PeerAddress {
    return this.#datagram.local;
  }

  get listener(): string {
    return this.#datagram.listener;
  }

  get receivedAtUs(): number {
    return this.#datagram.receivedAtUs;
  }

  get ttl(): number | undefined {
    return this.#datagram.ttl;
  }

  get dscp(): number | undefined {
    return this.#datagram.dscp;
  }

  get ecn(): number | undefined {
    return this.#datagram.ecn;
  }
}
