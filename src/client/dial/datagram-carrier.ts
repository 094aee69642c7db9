import type { Endpoint } from './connection.ts';

/** A connected UDP socket, of this project's kernel layer or of Node. */
export interface DatagramCarrier {
  readonly local: Endpoint;
  /** `taken` is called when the kernel has accepted the datagram, or refuses it. */
  send(bytes: Uint8Array, taken: (error: Error | null) => void): void;
  close(): void;
}

export interface CarrierEvents {
  datagram(bytes: Uint8Array): void;
  /** A router or host reports that a datagram did not arrive. */
  failed(error: Error): void;
}

/** Enough for bursts of answers. The kernel may allow less. */
export const receiveBufferBytes: number = 4 * 1024 * 1024;
