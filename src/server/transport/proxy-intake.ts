import { formatHostPort } from '../../address/host-port.ts';
import { cidrContains } from '../../address/cidr.ts';
import { type IpAddress, isMulticast } from '../../address/ip-address.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { ProxyRules } from '../guard/limits.ts';
import type { Admission, RefuseReason } from '../guard/admission.ts';
import type { PlaceHolder } from '../guard/source-tree.ts';
import { ProxyHeaderParser } from '../guard/proxy-header.ts';
import type { Proxied } from './stream-client.ts';
import type { StreamSocket, StreamSocketUser } from './stream-socket.ts';
import { formatPeer } from './zone.ts';

/** The client's address according to the PROXY header. */
export interface Introduction {
  readonly source: IpAddress;
  readonly port: number;
  readonly proxied: Proxied;
  /** Data that arrived together with the header. */
  readonly rest: Uint8Array;
}

export interface ProxyIntakeEvents {
  /** The header is complete and the socket is paused. The receiver must admit the client or close the connection. */
  introduced(socket: StreamSocket, introduction: Introduction): void;
  /** A connection was closed, for the counters. */
  refused(reason: RefuseReason, peer: IpAddress): void;
  /** A connection is no longer waiting. */
  left(): void;
}

export interface ProxyIntakeOptions {
  readonly rules: ProxyRules;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly events: ProxyIntakeEvents;
}

/** Connections whose PROXY header has not arrived yet. Each occupies a client's place and has a deadline. */
export class ProxyIntake {
  readonly #options: ProxyIntakeOptions;
  readonly #waiting = new Set<WaitingConnection>();
  #isDestroyed = false;

  constructor(options: ProxyIntakeOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  take(socket: StreamSocket, peer: IpAddress, port: number): void {
    const { rules, admission, clock, events } = this.#options;
    const isProxy = rules.from.some((cidr) => cidrContains(cidr, peer));
    // Other peers are refused, even if they send no header: the protocol forbids guessing whether there is one.
    const reservation = isProxy ? admission.reserve(peer) : 'proxy-header';
    if (typeof reservation === 'string') {
      events.refused(reservation, peer);
      socket.destroy();
      return;
    }
    const waiting = new WaitingConnection(socket, peer, port, (introduction) => {
      // A refused client is closed after that.
      if (!this.#waiting.delete(waiting)) return;
      cancelDeadline();
      admission.cancel(reservation);
      if (introduction !== undefined) events.introduced(socket, introduction);
      else if (!this.#isDestroyed) events.refused('proxy-header', peer);
      events.left();
    });
    reservation.holder = waiting;
    this.#waiting.add(waiting);
    const cancelDeadline: Cancel = clock.after(rules.timeoutMs, () => socket.destroy());
    socket.use(waiting);
    socket.startReading();
  }

  destroy(): void {
    this.#isDestroyed = true;
    for (const { socket } of this.#waiting) socket.destroy();
  }
}

/** A connection from its acceptance to the end of its header. */
class WaitingConnection implements StreamSocketUser, PlaceHolder {
  readonly socket: StreamSocket;
  readonly peer: IpAddress;
  /** As of now: an interface may be renamed, or go away, while it waits. */
  readonly #peerName: string;
  readonly #port: number;
  readonly #left: (introduction: Introduction | undefined) => void;
  readonly #parser = new ProxyHeaderParser();

  constructor(
    socket: StreamSocket,
    peer: IpAddress,
    port: number,
    left: (introduction: Introduction | undefined) => void,
  ) {
    this.socket = socket;
    this.peer = peer;
    this.#peerName = formatPeer(peer);
    this.#port = port;
    this.#left = left;
  }

  evict(): void {
    this.#left(undefined);
    this.socket.destroy();
  }

  received(chunk: Buffer): void {
    if (this.socket.isDestroyed) return;
    const parsed = this.#parser.push(chunk);
    if (parsed === 'more') return;
    // Nobody connects from a multicast address, and the guard uses some of those for what is not an IPv6 source.
    if (parsed === 'malformed' || (parsed.client !== undefined && isMulticast(parsed.client.ip))) {
      this.socket.destroy();
      return;
    }
    const { ip = this.peer, port = this.#port } = parsed.client ?? {};
    const proxied = { via: formatHostPort(this.#peerName, this.#port), headerLength: parsed.length };
    this.socket.stopReading();
    this.#left({ source: ip, port, proxied, rest: parsed.rest });
  }

  peerEnded(): void {
    this.socket.destroy();
  }

  flushed(): void {}

  closed(): void {
    this.#left(undefined);
  }
}
