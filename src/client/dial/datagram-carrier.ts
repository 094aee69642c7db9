import type { Endpoint } from './connection.ts';

/** A connected UDP socket, of this project's kernel layer or of Node. */
export interface DatagramCarrier {
  readonly local: Endpoint;
  /** `taken` is called when the kernel has accepted the datagram, or refuses it. */
  send(bytes: Uint8Array, taken: (error: Error | null) => void): void;
  close(): void;
}

/** What the kernel tells of a datagram that arrived. Undefined where it does not. */
export interface Arrival {
  /** Microseconds since 1970, by the wall clock. */
  readonly receivedAtUs: number | undefined;
  /** The time to live or hop limit that was left. */
  readonly ttl: number | undefined;
  /** The type of service or traffic class. */
  readonly trafficClass: number | undefined;
}

export interface CarrierEvents {
  /** Whether `datagram` gets the arrival of each, as far as the system tells it. */
  readonly wantsArrivals?: boolean | undefined;
  datagram(bytes: Uint8Array, arrival?: Arrival): void;
  /** A router or host reports that a datagram did not arrive. */
  failed(error: Error): void;
}

/** Enough for bursts of answers. The kernel may allow less. */
export const receiveBufferBytes: number = 4 * 1024 * 1024;
