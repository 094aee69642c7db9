import type { Cancel, Clock } from '../../clock/clock.ts';
import { DatagramSocket } from '../dial/datagram-socket.ts';
import type { HostAddress } from '../dial/resolve-host.ts';
import type { PathControls } from '../options.ts';
import { decodeStampReply, encodeStampRequest, stampBaseBytes } from './packet.ts';

/** How a reflector numbers its replies (RFC 8762 section 4.3): it counts them, or copies the number of the request. */
export type ReflectorMode = 'stateful' | 'stateless';

/** Any of these may be lost. */
const tries = 5;
const betweenTriesMs = 200;

/** The error of a clock that nobody asks about: the time in these packets is 0. */
const unknownErrorUs = 16_000_000;

interface ProbeSettings {
  readonly clock: Clock;
  /** The session identifier (RFC 8972 section 3). */
  readonly session: number;
  readonly pathControls?: PathControls | undefined;
}

/** The first request of a session would have 0, and a reflector that counts answers it with 0. */
const sequence = 1;

/**
 * Finds out whether a reflector counts. Without loss on the way there, counted numbers are those of the requests. So
 * another session, from another port, begins with request 1: a reflector that answers with 1 copies it. Each further
 * try has a port of its own, since only some ports may use a broken link.
 */
export class ReflectorModeProbe {
  readonly #address: HostAddress;
  readonly #port: number;
  readonly #settings: ProbeSettings;
  readonly #sockets: DatagramSocket[] = [];
  #mode: ReflectorMode | undefined;
  #isOver = false;
  #cancel: Cancel = () => {};

  private constructor(address: HostAddress, port: number, settings: ProbeSettings) {
    this.#address = address;
    this.#port = port;
    this.#settings = settings;
  }

  /** Sends the first request. Throws `CONNECT_FAILED`. */
  static async start(address: HostAddress, port: number, settings: ProbeSettings): Promise<ReflectorModeProbe> {
    const probe = new ReflectorModeProbe(address, port, settings);
    await probe.#sendNext();
    return probe;
  }

  /** Undefined if nothing has come back so far. */
  get mode(): ReflectorMode | undefined {
    return this.#mode;
  }

  close(): void {
    this.#isOver = true;
    this.#cancel();
    for (const socket of this.#sockets) socket.close();
  }

  #take(bytes: Uint8Array): void {
    const reply = decodeStampReply(bytes);
    if (reply?.senderSequence !== sequence) return;
    this.#mode = reply.sequence === sequence ? 'stateless' : 'stateful';
    this.#cancel();
  }

  async #sendNext(): Promise<void> {
    const { clock, session, pathControls } = this.#settings;
    const handlers = { datagram: (bytes: Uint8Array): void => this.#take(bytes), failed: (): void => {} };
    const path = { ...pathControls, sourcePort: undefined };
    const socket = await DatagramSocket.open(this.#address, this.#port, handlers, path);
    if (this.#isOver || this.#mode !== undefined) return socket.close();
    this.#sockets.push(socket);
    const clockOfPacket = { isSynchronized: false, errorUs: unknownErrorUs };
    const packet = encodeStampRequest({ sequence, session, ...clockOfPacket, dscp: 0, sizeBytes: stampBaseBytes });
    // Whatever is wrong, the requests that measure find it, too.
    socket.send(packet).catch(() => {});
    if (this.#sockets.length < tries)
      this.#cancel = clock.after(betweenTriesMs, () => void this.#sendNext().catch(() => {}));
  }
}
