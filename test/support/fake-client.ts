import type { Client, CloseReason, PeerAddress, Service, StreamHandlers } from '../../src/service.ts';

/** A client that records what a service sends to it. What it is sent after its end is not recorded, as on the wire. */
export class FakeClient implements Client {
  readonly peer: PeerAddress;
  /** A copy of the bytes of each write, made during the call. */
  readonly writes: Buffer[] = [];
  readonly local = '198.51.100.1:13';
  readonly listener = 'tcp://0.0.0.0:13';
  via: string | undefined;
  ended = false;
  paused = false;

  constructor(peer: PeerAddress = { family: 'ipv4', address: '192.0.2.1', port: 40_000 }) {
    this.peer = peer;
  }

  write(bytes: Uint8Array): void {
    if (!this.ended) this.writes.push(Buffer.from(bytes));
  }

  end(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.write(bytes);
    this.ended = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.writes);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }
}

/** A connection between a fake client and a service: does what a transport does with the handlers. */
export class FakeConnection {
  readonly client: FakeClient;
  readonly #handlers: StreamHandlers;

  constructor(service: Service, client = new FakeClient()) {
    if (service.stream === undefined) throw new Error('the service has no stream side');
    this.client = client;
    this.#handlers = service.stream(client) ?? {};
  }

  /** The client sends bytes. They are overwritten after the call, as a transport may do. */
  send(bytes: Uint8Array | string): void {
    const chunk = Buffer.from(bytes);
    this.#handlers.data?.(chunk);
    chunk.fill(0xee);
  }

  /** The client has finished sending. */
  finish(): void {
    if (this.#handlers.end === undefined) this.client.end();
    else this.#handlers.end();
  }

  /** All that was written has left. */
  drain(): void {
    this.#handlers.drained?.();
  }

  close(reason: CloseReason): void {
    this.#handlers.closed?.(reason);
  }
}

/** What a service answers to a client that connects and sends nothing. */
export function connect(service: Service): FakeClient {
  return new FakeConnection(service).client;
}
