import type { Socket } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import { cidrContains } from '../../address/cidr.ts';
import { formatIp, type IpAddress } from '../../address/ip-address.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { ProxyRules } from '../guard/limits.ts';
import type { Admission, RefuseReason } from '../guard/admission.ts';
import { ProxyHeaderParser } from '../guard/proxy-header.ts';
import type { Proxied } from './stream-client.ts';

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
  introduced(socket: Socket, introduction: Introduction): void;
  /** A connection was closed, for the counters. */
  refused(reason: RefuseReason): void;
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
  readonly #waiting = new Set<Socket>();
  #isDestroyed = false;

  constructor(options: ProxyIntakeOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  take(socket: Socket, peer: IpAddress, port: number): void {
    const { rules, admission, events } = this.#options;
    const isProxy = rules.from.some((cidr) => cidrContains(cidr, peer));
    // Other peers are refused, even if they send no header: the protocol forbids guessing whether there is one.
    const refusal = isProxy ? admission.reserve() : 'proxy-header';
    // From here on, a reset must not become an unhandled `error`.
    socket.on('error', ignore);
    if (refusal === undefined) {
      this.#waiting.add(socket);
      this.#await(socket, peer, port);
    } else {
      events.refused(refusal);
      socket.destroy();
    }
  }

  destroy(): void {
    this.#isDestroyed = true;
    for (const socket of this.#waiting) socket.destroy();
  }

  #await(socket: Socket, peer: IpAddress, port: number): void {
    const { rules, admission, clock, events } = this.#options;
    const parser = new ProxyHeaderParser();
    let introduction: Introduction | undefined;
    const leave = (): void => {
      cancelDeadline();
      socket.off('data', read).off('end', refuse).off('close', leave);
      this.#waiting.delete(socket);
      admission.cancel();
      if (introduction !== undefined) events.introduced(socket, introduction);
      else if (!this.#isDestroyed) events.refused('proxy-header');
      events.left();
    };
    const refuse = (): void => void socket.destroy();
    const read = (chunk: Buffer): void => {
      const parsed = parser.push(chunk);
      if (parsed === 'more') return;
      if (parsed === 'malformed') {
        refuse();
        return;
      }
      const { ip = peer, port: clientPort = port } = parsed.client ?? {};
      const proxied = { via: formatHostPort(formatIp(peer), port), headerLength: parsed.length };
      introduction = { source: ip, port: clientPort, proxied, rest: parsed.rest };
      socket.pause();
      leave();
    };
    const cancelDeadline: Cancel = clock.after(rules.timeoutMs, refuse);
    socket.on('data', read).on('end', refuse).on('close', leave);
  }
}

function ignore(): void {}
