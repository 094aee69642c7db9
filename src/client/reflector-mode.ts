import type { Cancel, Clock } from '../clock/clock.ts';
import { DatagramSocket } from './dial/datagram-socket.ts';
import type { HostAddress } from './dial/resolve-host.ts';
import type { PathControls } from './options.ts';
import { decodeStampReply, encodeStampRequest, stampBaseBytes } from './stamp-packet.ts';

/** How a reflector numbers its replies (RFC 8762 section 4.3): it counts them, or copies the number of the request. */
export type ReflectorMode = 'stateful' | 'stateless';

/** Any of these may be lost. */
const tries = 5;
const betweenTriesMs = 200;

/** The error of a clock that nobody asks about: the time in these packets is 0. */
const unknownErrorUs = 16_000_000;

/**
 * Finds out whether a reflector counts. Without loss on the way there, counted numbers are those of the requests. So
 * another session, from a port of its own, has requests 1, 3, 5 …: a reflector that answers with the same number copies
 * it.
 */
export class ReflectorModeProbe {
  readonly #socket: DatagramSocket;
  readonly #clock: Clock;
  readonly #session: number;
  #sent = 0;
  #mode: ReflectorMode | undefined;
  #cancel: Cancel = () => {};

  private constructor(socket: DatagramSocket, clock: Clock, session: number) {
    this.#socket = socket;
    this.#clock = clock;
    this.#session = session;
  }

  /** Sends the first request. Throws `CONNECT_FAILED`. */
  static async start(
    address: HostAddress,
    port: number,
    settings: { readonly clock: Clock; readonly session: number; readonly pathControls?: PathControls | undefined },
  ): Promise<ReflectorModeProbe> {
    let probe: ReflectorModeProbe | undefined;
    const handlers = { datagram: (bytes: Uint8Array): void => probe?.take(bytes), failed: (): void => {} };
    const path = { ...settings.pathControls, sourcePort: undefined };
    const socket = await DatagramSocket.open(address, port, handlers, path);
    probe = new ReflectorModeProbe(socket, settings.clock, settings.session);
    probe.#sendNext();
    return probe;
  }

  /** Undefined if nothing has come back so far. */
  get mode(): ReflectorMode | undefined {
    return this.#mode;
  }

  take(bytes: Uint8Array): void {
    const reply = decodeStampReply(bytes);
    if (reply === undefined || reply.senderSequence % 2 !== 1 || reply.senderSequence >= 2 * this.#sent) return;
    this.#mode = reply.sequence === reply.senderSequence ? 'stateless' : 'stateful';
    this.#cancel();
  }

  close(): void {
    this.#cancel();
    this.#socket.close();
  }

  #sendNext(): void {
    const [sequence, session] = [2 * this.#sent + 1, this.#session];
    const clockOfPacket = { isSynchronized: false, errorUs: unknownErrorUs };
    const packet = encodeStampRequest({ sequence, session, ...clockOfPacket, dscp: 0, sizeBytes: stampBaseBytes });
    this.#sent += 1;
    // Whatever is wrong, the requests that measure find it, too.
    this.#socket.send(packet).catch(() => {});
    if (this.#sent < tries) this.#cancel = this.#clock.after(betweenTriesMs, () => this.#sendNext());
  }
}
