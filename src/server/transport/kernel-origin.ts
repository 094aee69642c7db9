import { type IpAddress, isIpv4, parseIp } from '../../address/ip-address.ts';
import type { Clock } from '../../clock/clock.ts';
import type { DatagramBatch } from '../../kernel/datagram-batch.ts';
import type { DatagramOrigin, PeerAddress } from '../../service.ts';
import { type BoundAddress, formatBoundAddress } from './listener.ts';
import { formatPeer } from './zone.ts';

const nobody: IpAddress = { w0: 0, w1: 0, w2: 0, w3: 0 };

/** The origin of a datagram of a batch. Whatever a service asks for is read then, since few services ask. */
export class KernelOrigin implements DatagramOrigin {
  readonly via = undefined;
  readonly #batch: DatagramBatch;
  readonly #bound: BoundAddress;
  readonly #clock: Clock;
  readonly listener: string;
  #index = 0;
  #source = nobody;

  constructor(batch: DatagramBatch, bound: BoundAddress, clock: Clock) {
    this.#batch = batch;
    this.#bound = bound;
    this.#clock = clock;
    this.listener = formatBoundAddress(bound);
  }

  /** Makes it that of a datagram of the batch, which came from `source`. */
  set(index: number, source: IpAddress): void {
    this.#index = index;
    this.#source = source;
  }

  get peer(): PeerAddress {
    return addressOf(this.#source, this.#batch.port(this.#index));
  }

  get local(): PeerAddress {
    const { address, port } = this.#bound;
    return addressOf(this.#batch.destination(this.#index) ?? parseIp(address) ?? nobody, port);
  }

  get receivedAtUs(): number {
    return this.#batch.receivedAtUs(this.#index) ?? this.#clock.now().getTime() * 1000;
  }

  get ttl(): number | undefined {
    return this.#batch.ttl(this.#index);
  }

  get dscp(): number | undefined {
    const trafficClass = this.#batch.trafficClass(this.#index);
    return trafficClass === undefined ? undefined : trafficClass >>> 2;
  }

  get ecn(): number | undefined {
    const trafficClass = this.#batch.trafficClass(this.#index);
    return trafficClass === undefined ? undefined : trafficClass & 0b11;
  }
}

function addressOf(ip: IpAddress, port: number): PeerAddress {
  return { family: isIpv4(ip) ? 'ipv4' : 'ipv6', address: formatPeer(ip), port };
}
