import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { datagramBatch } from '../../kernel/datagram-batch.ts';
import { errorQueue, type IcmpReport } from '../../kernel/error-queue.ts';
import { connectIcmp, connectUdp, fragmentPackets, probePath, tellFragments } from '../../kernel/outgoing-sockets.ts';
import { failed, readable, readiness, type Watcher } from '../../kernel/readiness.ts';
import { isWait, streams } from '../../kernel/streams.ts';
import { systemError } from '../../kernel/system-error.ts';
import { receiveBufferBytes } from './datagram-carrier.ts';
import { inetAddress } from './inet-address.ts';
import { outgoingOptions, type PathControls } from './path-controls.ts';
import type { HostAddress } from './resolve-host.ts';

const { EMSGSIZE, ENOBUFS } = constants.errno;

/** ICMP errors that may come before a probe is sent: each makes the kernel refuse one call. */
const mostErrorsBefore = 16;
/** Errors handled in one turn of the event loop. The others come in the next. */
const mostErrors = 64;

export interface ProbeHandlers {
  /** `fragmentBytes` is the largest fragment, an IP packet, of an answer that came in fragments. */
  answer(bytes: Uint8Array, fragmentBytes: number | undefined): void;
  /** A host or router reports that a probe did not arrive. */
  error(report: IcmpReport): void;
}

/** Whether a probe must arrive in one packet, or in fragments for a path that takes packets of this size. */
export type ProbeMode = 'whole' | { readonly pathMtuBytes: number };

/** A UDP or raw ICMP socket that sends packets of exact sizes, and learns what became of them. */
export class ProbeSocket implements Watcher {
  readonly #descriptor: number;
  readonly #number: number;
  readonly #family: HostAddress['family'];
  readonly #handlers: ProbeHandlers;
  #isClosed = false;

  /** `port` is that of UDP, or undefined for ICMP. Throws an error with the system's code. */
  constructor(address: HostAddress, port: number | undefined, path: PathControls, handlers: ProbeHandlers) {
    this.#family = address.family;
    this.#handlers = handlers;
    const connect = port === undefined ? connectIcmp : connectUdp;
    this.#descriptor = connect(
      inetAddress(address, port ?? 0),
      receiveBufferBytes,
      outgoingOptions(path, this.#family),
    );
    try {
      tellFragments(this.#descriptor, this.#family);
      this.#number = readiness().watch(this.#descriptor, readable, this);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  /**
   * Sends a packet. Returns the MTU of the interface if it is larger than that, and so was not sent. Throws an error
   * with the system's code.
   */
  send(bytes: Uint8Array, mode: ProbeMode): number | undefined {
    if (mode === 'whole') probePath(this.#descriptor, this.#family);
    else fragmentPackets(this.#descriptor, this.#family, mode.pathMtuBytes);
    for (let tries = 0; ; tries += 1) {
      const result = streams().send(this.#descriptor, bytes, false);
      // What does not fit a queue now is lost, as on the path.
      if (result >= 0 || result === -ENOBUFS || isWait(result)) return undefined;
      // The kernel reports an earlier packet's error as the result of the next call, and sends nothing.
      const { count, mtu } = this.#takeErrors();
      if (mtu !== undefined && result === -EMSGSIZE) return mtu;
      if (count === 0 || tries === mostErrorsBefore) throw systemError('send', -result);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    readiness().unwatch(this.#number, this.#descriptor);
    closeSync(this.#descriptor);
  }

  ready(events: number): void {
    if ((events & failed) !== 0) this.#takeErrors();
    if (this.#isClosed) return;
    const batch = datagramBatch();
    const count = batch.receive(this.#descriptor);
    for (let index = 0; index < count && !this.#isClosed; index += 1)
      this.#handlers.answer(Buffer.from(batch.request(index)), batch.fragmentBytes(index));
  }

  /** Returns how many errors there were, and the MTU of the interface if one was our own. */
  #takeErrors(): { readonly count: number; readonly mtu: number | undefined } {
    let [count, mtu]: [number, number | undefined] = [0, undefined];
    for (; count < mostErrors; count += 1) {
      const report = errorQueue().take(this.#descriptor);
      if (report === undefined) break;
      if (report.version !== 'local') process.nextTick(() => this.#report(report));
      else if (report.errno === EMSGSIZE) ({ mtu } = report);
    }
    return { count, mtu };
  }

  #report(report: IcmpReport): void {
    if (!this.#isClosed) this.#handlers.error(report);
  }
}
