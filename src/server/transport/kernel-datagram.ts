import { closeSync } from 'node:fs';
import { datagramBatch, DatagramBatch, type ReturnPath } from '../../kernel/datagram-batch.ts';
import { readable, readiness, type Watcher } from '../../kernel/readiness.ts';
import {
  allowFragments,
  resetDatagramOptions,
  readDroppedDatagrams,
  readSendBuffer,
  tellDestinations,
  tellHeaders,
} from '../../kernel/sockets.ts';
import { streams } from '../../kernel/streams.ts';
import type { Cancel } from '../../clock/clock.ts';
import { type IpAddress, isBroadcast, isIpv4, isMulticast } from '../../address/ip-address.ts';
import { Deferred } from '../../deferred.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';
import type { DropReason } from '../guard/datagram-guard.ts';
import type { DatagramOrigin } from '../../service.ts';
import { DatagramAnswers, type ReplySink } from './datagram-answers.ts';
import type { ReplyTarget } from './delayed-replies.ts';
import { KernelOrigin } from './kernel-origin.ts';
import type { BoundAddress, Listener } from './listener.ts';
import type { DatagramListenerOptions } from './node-datagram.ts';
import { openSocket } from './open-socket.ts';

/** Batches of one socket in a turn of the event loop. Then other sockets and timers get theirs. */
const batchesPerTurn = 4;

/**
 * The part of the send buffer that replies may take which wait for the link address of their destination. Whoever
 * forges sources on our link that do not exist must leave the rest to others.
 */
const waitingPart = 1 / 4;

/** What the kernel counts for a datagram in addition to its bytes, at most. */
const datagramOverheadBytes = 1024;

const nobody: IpAddress = { w0: 0, w1: 0, w2: 0, w3: 0 };

/**
 * After so many turns without a datagram, a socket is left alone for a while: it may stay ready for ever, because
 * another holder has shut it down, or because the kernel has no memory for a datagram.
 */
const fruitlessTurns = 16;
const pauseMs = 100;

/** How often the kernel is asked how many datagrams it has dropped. */
const overflowPeriodMs = 1000;

/**
 * A UDP listener over a direct socket: reads and replies in batches, from the address that was asked, and never to
 * a datagram that others have received, too (broadcast and multicast).
 */
export class KernelDatagramListener implements Listener, ReplySink, Watcher {
  readonly #options: DatagramListenerOptions;
  readonly #answers: DatagramAnswers;
  readonly #batch: DatagramBatch = datagramBatch();
  readonly #closed = new Deferred<void>();
  /** -1 if it is not open. */
  #descriptor = -1;
  /** Set by `open`. */
  #origin!: KernelOrigin;
  /** Its number in the epoll set; undefined if it is not open, or left alone for a while. */
  #watched: number | undefined;
  #fruitless = 0;
  /** Whether datagrams are being answered; a service may close its daemon meanwhile. */
  #isInTurn = false;
  #mustClose = false;
  /** Whether nothing more is read. Replies that faults delay are still sent. */
  #isSuspended = false;
  #cancelOverflow: Cancel | undefined;
  /** Drops of the socket that somebody has counted. */
  #knownDrops = 0;
  /** Position in the batch of the datagram being answered, its source, and the time. */
  #index = 0;
  #source: IpAddress = nobody;
  #nowMs = 0;
  /** Bytes of the send buffer that may be taken by replies that wait. */
  #waitingBudget = 0;
  /** Bytes in use in it, and added since it was asked. Undefined: not asked yet for this batch. */
  #waiting: number | undefined;

  constructor(options: DatagramListenerOptions) {
    this.#options = options;
    this.#answers = new DatagramAnswers(options);
  }

  async open(): Promise<BoundAddress> {
    const { target, service, receiveBufferBytes, fragment, clock } = this.#options;
    const { descriptor, bound } = openSocket(target, { receiveBufferBytes });
    try {
      tellDestinations(descriptor, target.family);
      allowFragments(descriptor, target.family, fragment);
      resetDatagramOptions(descriptor, target.family);
      if (service.readsHeaders === true) tellHeaders(descriptor, target.family);
      this.#knownDrops = readDroppedDatagrams(descriptor);
      this.#watched = readiness().watch(descriptor, readable, this);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#descriptor = descriptor;
    this.#origin = new KernelOrigin(this.#batch, bound, clock);
    this.#waitingBudget = readSendBuffer(descriptor) * waitingPart;
    this.#cancelOverflow = clock.every(overflowPeriodMs, () => void this.#countOverflow());
    return bound;
  }

  suspend(): void {
    if (this.#isSuspended || this.#descriptor < 0) return;
    if (this.#isInTurn) {
      this.#mustClose = true;
      return;
    }
    this.#isSuspended = true;
    this.#countOverflow();
    this.#cancelOverflow?.();
    // Whatever has arrived stays in the socket, for the next one who reads it.
    if (this.#watched !== undefined) readiness().unwatch(this.#watched, this.#descriptor);
    this.#watched = undefined;
    const { delayed } = this.#answers;
    if (delayed === undefined) this.#close();
    else delayed.whenSent(() => this.#close());
  }

  async drain(): Promise<void> {
    await this.#closed.promise;
  }

  destroy(): void {
    this.#answers.delayed?.close();
    this.suspend();
  }

  #close(): void {
    closeSync(this.#descriptor);
    this.#descriptor = -1;
    this.#closed.resolve();
  }

  setFaults(faults: ServiceFaults | undefined): void {
    this.#answers.setFaults(faults);
  }

  get origin(): DatagramOrigin {
    return this.#origin;
  }

  /** Called by `answer`. */
  reply(bytes: Uint8Array): DropReason | undefined {
    if (this.#mustNotWait(bytes.length)) return 'busy';
    const trafficClass = this.#trafficClass;
    if (trafficClass !== undefined)
      return this.#batch.reply(this.#index, bytes, trafficClass) ? this.#sendOne() : 'send-error';
    if (this.#batch.reply(this.#index, bytes)) return undefined;
    this.#send();
    return this.#batch.reply(this.#index, bytes) ? undefined : 'send-error';
  }

  replyTarget(): ReplyTarget {
    return new KernelReplyTarget(this, this.#batch.returnPath(this.#index, this.#trafficClass), this.#source);
  }

  /** Sends a reply to a datagram of an earlier batch, or says why not. */
  replyLater(path: ReturnPath, source: IpAddress, bytes: Uint8Array): DropReason | undefined {
    if (this.#descriptor < 0) return 'send-error';
    this.#source = source;
    this.#nowMs = this.#options.clock.monotonicMs();
    this.#waiting = undefined;
    if (this.#mustNotWait(bytes.length)) return 'busy';
    // Nothing else is queued between two turns, so there is room.
    return this.#batch.replyLater(path, bytes) ? this.#sendOne() : 'send-error';
  }

  /**
   * The class of a reply that is sent at once: the DSCP of its request, but not its ECN, since congestion is a matter
   * of each path. Undefined if replies are sent together, and the class of the socket holds.
   */
  get #trafficClass(): number | undefined {
    return this.#options.service.repliesAtOnce === true ? (this.#origin.dscp ?? 0) << 2 : undefined;
  }

  /** Sends the only reply that is queued. */
  #sendOne(): DropReason | undefined {
    let isRefused = false;
    this.#batch.send(this.#descriptor, () => {
      isRefused = true;
    });
    return isRefused ? 'send-error' : undefined;
  }

  /** Called when there is something to read. */
  ready(): void {
    this.#isInTurn = true;
    try {
      this.#answer();
    } finally {
      this.#isInTurn = false;
      // After an error, its replies would leave through the next socket that sends.
      this.#batch.discardQueued();
      if (this.#mustClose) this.suspend();
    }
  }

  #answer(): void {
    const batch = this.#batch;
    for (let turn = 0; turn < batchesPerTurn && !this.#mustClose; turn += 1) {
      const count = batch.receive(this.#descriptor);
      if (count === 0) {
        if (turn === 0) this.#fruitlessTurn();
        return;
      }
      this.#fruitless = 0;
      this.#nowMs = this.#options.clock.monotonicMs();
      this.#waiting = undefined;
      for (let index = 0; index < count; index += 1) this.#request(index);
      this.#send();
      if (count < DatagramBatch.capacity) return;
    }
  }

  /** Anybody can make the kernel wake us for a datagram that it then discards, with a wrong checksum. */
  #fruitlessTurn(): void {
    this.#fruitless = this.#countOverflow() > 0 ? 0 : this.#fruitless + 1;
    if (this.#fruitless < fruitlessTurns || this.#watched === undefined) return;
    if (this.#fruitless === fruitlessTurns)
      this.#options.connectionLog.listenerFailed(new Error('the socket is ready, but yields no datagrams'));
    readiness().unwatch(this.#watched, this.#descriptor);
    this.#watched = undefined;
    this.#options.clock.after(pauseMs, () => this.#watchAgain());
  }

  #watchAgain(): void {
    if (this.#isSuspended || this.#descriptor < 0) return;
    try {
      this.#watched = readiness().watch(this.#descriptor, readable, this);
    } catch {
      // No memory yet.
      this.#options.clock.after(pauseMs, () => this.#watchAgain());
    }
  }

  #request(index: number): void {
    const request = this.#batch.request(index);
    if (!this.#isForUs(index)) {
      this.#answers.dropped(request, 'destination');
      return;
    }
    this.#index = index;
    this.#source = this.#batch.source(index);
    if (this.#isDisguised(index)) {
      this.#answers.dropped(request, 'source-address');
      return;
    }
    this.#origin.set(index, this.#source);
    this.#answers.answer(this.#source, this.#batch.port(index), request, this.#nowMs, this);
  }

  /**
   * Whether a reply could take more than its part of the send buffer, or of the kernel's table, while it waits for a
   * neighbor.
   */
  #mustNotWait(length: number): boolean {
    const { neighborhood } = this.#options;
    if (!neighborhood.isOnLink(this.#source, this.#nowMs)) return false;
    if (neighborhood.isKnown(this.#source, this.#nowMs)) return false;
    this.#waiting ??= streams().countUnacknowledged(this.#descriptor);
    const cost = length + datagramOverheadBytes;
    if (this.#waiting + cost > this.#waitingBudget) return true;
    if (!neighborhood.mayLookFor(this.#source, this.#nowMs)) return true;
    this.#waiting += cost;
    return false;
  }

  /** The kernel tells. For IPv4 on an IPv6 socket, which only others open, the address must do. */
  #isForUs(index: number): boolean {
    if (!this.#batch.isUnicast(index)) return false;
    if (this.#options.target.family === 'ipv4') return true;
    const destination = this.#batch.destination(index);
    return destination === undefined || !(isMulticast(destination) || isBroadcast(destination));
  }

  /**
   * Whether an IPv6 packet has an IPv4-mapped source, which the kernel passes on (RFC 4942 section 2.2): it would have
   * the rights of an IPv4 client, such as 127.0.0.1. A real IPv4 packet is also sent to an IPv4 address.
   */
  #isDisguised(index: number): boolean {
    if (this.#options.target.family === 'ipv4' || !isIpv4(this.#source)) return false;
    const destination = this.#batch.destination(index);
    return destination === undefined || !isIpv4(destination);
  }

  #send(): void {
    this.#batch.send(this.#descriptor, this.#refused);
  }

  readonly #refused = (_index: number, length: number): void => this.#answers.notSent(length);

  /** Returns how many datagrams the kernel has dropped since the last call. */
  #countOverflow(): number {
    const drops = readDroppedDatagrams(this.#descriptor);
    // The kernel counts modulo 2^32.
    const dropped = (drops - this.#knownDrops) >>> 0;
    this.#answers.overflowed(dropped);
    this.#knownDrops = drops;
    return dropped;
  }
}

/** A reply to a datagram of an earlier batch. */
class KernelReplyTarget implements ReplyTarget {
  readonly #listener: KernelDatagramListener;
  readonly #path: ReturnPath;
  readonly #source: IpAddress;

  constructor(listener: KernelDatagramListener, path: ReturnPath, source: IpAddress) {
    this.#listener = listener;
    this.#path = path;
    this.#source = source;
  }

  reply(bytes: Uint8Array): DropReason | undefined {
    return this.#listener.replyLater(this.#path, this.#source, bytes);
  }
}
