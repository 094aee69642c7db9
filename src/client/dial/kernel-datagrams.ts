import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { datagramBatch } from '../../kernel/datagram-batch.ts';
import { errorQueue } from '../../kernel/error-queue.ts';
import { connectUdp, type PortSharing } from '../../kernel/outgoing-sockets.ts';
import { failed, readable, readiness, type Watcher, writable } from '../../kernel/readiness.ts';
import { boundTo, formatInetAddress, tellHeaders } from '../../kernel/sockets.ts';
import { isWait, streams } from '../../kernel/streams.ts';
import { systemError } from '../../kernel/system-error.ts';
import type { Endpoint } from './connection.ts';
import { type CarrierEvents, type DatagramCarrier, receiveBufferBytes } from './datagram-carrier.ts';
import { IcmpError } from './icmp-error.ts';
import { inetAddress } from './inet-address.ts';
import { outgoingOptions, type PathControls } from './path-controls.ts';
import type { HostAddress } from './resolve-host.ts';
import type { SharedPorts } from './shared-ports.ts';

const { EMSGSIZE, ENOBUFS } = constants.errno;

/** Datagrams and errors handled in one turn of the event loop. The others come in the next. */
const mostPerTurn = 64;

/** ICMP errors that may come before a datagram is sent: each makes the kernel refuse one call. */
const mostErrorsBefore = 16;

/** How often a datagram is sent again because it was too big for a router: more than one may be on the path. */
const mostRepetitions = 4;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly taken: (error: Error | null) => void;
}

/**
 * A UDP socket with an error queue (IP_RECVERR in ip(7)). It learns of every ICMP error about its datagrams, and from
 * whom. Without the queue, the kernel tells a connected socket of closed ports, and of nothing else.
 */
export class KernelDatagrams implements DatagramCarrier, Watcher {
  readonly #descriptor: number;
  readonly #number: number;
  readonly #releasePort: () => void;
  readonly #events: CarrierEvents;
  /** Datagrams for which the kernel had no room. */
  readonly #waiting: Waiting[] = [];
  /** The datagram sent last, and how often it was sent again. */
  #last: Uint8Array | undefined;
  #repeated = 0;
  #isClosed = false;

  /** With `sharedPorts`, other sockets of those may have the source port. Throws an error with the system's code. */
  constructor(
    address: HostAddress,
    port: number,
    path: PathControls,
    events: CarrierEvents,
    sharedPorts?: SharedPorts,
  ) {
    const { family } = address;
    const { sourcePort = 0 } = path;
    const options = outgoingOptions(path, family);
    const connect = (sharing?: PortSharing): number =>
      connectUdp(inetAddress(address, port), receiveBufferBytes, options, sharing);
    this.#descriptor = sharedPorts === undefined ? connect() : sharedPorts.bind(family, sourcePort, connect);
    this.#releasePort = () => sharedPorts?.release(family, sourcePort);
    this.#events = events;
    try {
      if (events.wantsArrivals === true) tellHeaders(this.#descriptor, family);
      this.#number = readiness().watch(this.#descriptor, readable, this);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  get local(): Endpoint {
    const bound = boundTo(this.#descriptor);
    return bound.family === 'unix' ? { address: '', port: 0 } : { address: formatInetAddress(bound), port: bound.port };
  }

  send(bytes: Uint8Array, taken: (error: Error | null) => void): void {
    if (this.#isClosed) return process.nextTick(taken, systemError('send', constants.errno.EBADF));
    if (this.#waiting.length === 0) {
      const error = this.#send(bytes);
      if (error !== 'full') return error === null ? taken(null) : process.nextTick(taken, error);
    }
    this.#waiting.push({ bytes, taken });
    readiness().change(this.#number, this.#descriptor, readable | writable);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    readiness().unwatch(this.#number, this.#descriptor);
    this.#release();
    for (const { taken } of this.#waiting.splice(0))
      process.nextTick(taken, systemError('send', constants.errno.EBADF));
  }

  #release(): void {
    closeSync(this.#descriptor);
    this.#releasePort();
  }

  ready(events: number): void {
    if ((events & failed) !== 0) for (const error of this.#takeErrors()) this.#report(error);
    if ((events & writable) !== 0) this.#flush();
    this.#receive();
  }

  /** Null if the kernel has taken it, or its error. */
  #send(bytes: Uint8Array): Error | 'full' | null {
    for (let tries = 0; ; tries += 1) {
      const result = streams().send(this.#descriptor, bytes, false);
      // A queue of the device was full. Without an error queue, the kernel would not tell: the network loses datagrams.
      if (result >= 0 || result === -ENOBUFS) {
        this.#last = bytes;
        this.#repeated = 0;
        return null;
      }
      if (isWait(result)) return 'full';
      // The kernel reports an earlier datagram's error as the result of the next call, and sends nothing.
      const earlier = this.#takeErrors();
      if (earlier.length === 0 || tries === mostErrorsBefore) return systemError('send', -result);
      for (const error of earlier) process.nextTick(() => this.#report(error));
    }
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next !== undefined && !this.#isClosed; next = this.#waiting[0]) {
      const error = this.#send(next.bytes);
      if (error === 'full') return;
      this.#waiting.shift();
      next.taken(error);
    }
    if (!this.#isClosed) readiness().change(this.#number, this.#descriptor, readable);
  }

  #receive(): void {
    if (this.#events.wantsArrivals === true) return this.#receiveArrivals();
    const calls = streams();
    for (let count = 0; count < mostPerTurn && !this.#isClosed; count += 1) {
      const length = calls.receive(this.#descriptor);
      if (length >= 0) this.#events.datagram(Buffer.from(calls.arena.subarray(0, length)));
      else if (isWait(length)) return;
      else for (const error of this.#takeErrors(systemError('recv', -length))) this.#report(error);
    }
  }

  /** One batch in a turn. The others come in the next. */
  #receiveArrivals(): void {
    const batch = datagramBatch();
    const count = batch.receive(this.#descriptor);
    for (let index = 0; index < count && !this.#isClosed; index += 1) {
      this.#events.datagram(Buffer.from(batch.request(index)), {
        receivedAtUs: batch.receivedAtUs(index),
        ttl: batch.ttl(index),
        trafficClass: batch.trafficClass(index),
      });
    }
  }

  /** Takes the queued ICMP errors, or the given one if there are none. */
  #takeErrors(otherwise?: Error): readonly Error[] {
    const errors: Error[] = [];
    for (let count = 0; count < mostPerTurn; count += 1) {
      const report = errorQueue().take(this.#descriptor);
      if (report === undefined) break;
      if (report.version !== 'local') errors.push(new IcmpError(report));
    }
    return errors.length === 0 && otherwise !== undefined ? [otherwise] : errors;
  }

  #report(error: Error): void {
    if (this.#isClosed) return;
    if (error instanceof IcmpError && error.outcome === 'too-big') this.#repeat(error);
    else this.#events.failed(error);
  }

  /** A router has told the kernel the most that it forwards. From now on the kernel cuts what is larger. */
  #repeat(error: IcmpError): void {
    const bytes = this.#last;
    if (bytes === undefined || !error.isAbout(bytes) || this.#repeated === mostRepetitions) return;
    this.#repeated += 1;
    const result = streams().send(this.#descriptor, bytes, false);
    // It must not be fragmented.
    if (result === -EMSGSIZE) this.#events.failed(error);
  }
}
