import type { DatagramCounters } from '../counters.ts';
import type { DatagramFaults } from '../faults/datagram-faults.ts';
import type { Delayed } from '../faults/delay-queue.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';
import type { DropReason } from '../guard/datagram-guard.ts';

/** Replies to one datagram, whenever that is. */
export interface LateReply {
  /** Sends a reply, or says why not. */
  reply(bytes: Uint8Array): DropReason | undefined;
}

/** The replies of one UDP listener that faults hold back. */
export class DelayedReplies {
  #service: ServiceFaults | undefined;
  #faults: DatagramFaults | undefined;
  readonly #counters: DatagramCounters;
  readonly #held = new Set<DelayedReply>();
  #isClosed = false;
  #allSent: (() => void) | undefined;

  constructor(counters: DatagramCounters) {
    this.#counters = counters;
  }

  /** Replaces the faults. What is held back stays. */
  use(service: ServiceFaults): void {
    this.#service = service;
    this.#faults = service.forListener();
  }

  /** Returns what leaves in place of these replies. */
  spoil(replies: readonly Uint8Array[]): readonly Uint8Array[] {
    return this.#faults?.spoil(replies) ?? replies;
  }

  /**
   * Whether a reply is held back: a copy of it is sent when it is due. If the limits do not allow that, the reply is
   * lost, and counted.
   */
  holds(reply: Uint8Array, sink: { later(): LateReply }, nowMs: number): boolean {
    const service = this.#service;
    const delayMs = this.#faults?.drawDelayMs() ?? 0;
    if (service === undefined || delayMs === 0) return false;
    const { budget, queue, counts } = service;
    if (this.#isClosed || !budget.takeDatagram(reply.length)) {
      counts.datagram.maxDelayed += 1;
      return true;
    }
    const held = new DelayedReply(this, service, sink.later(), Uint8Array.from(reply));
    this.#held.add(held);
    queue.set(held, nowMs + delayMs);
    return true;
  }

  /** Calls `task` as soon as nothing is held back: immediately, or after the last one. */
  whenSent(task: () => void): void {
    if (this.#held.size === 0) task();
    else this.#allSent = task;
  }

  /** Forgets what is held back. From now on everything is. */
  close(): void {
    this.#isClosed = true;
    for (const held of this.#held) {
      held.service.queue.remove(held);
      this.#forget(held);
    }
    this.#tellIfSent();
  }

  /** Called when it is due. */
  send(held: DelayedReply): void {
    this.#forget(held);
    const { length } = held.bytes;
    const obstacle = held.target.reply(held.bytes);
    if (obstacle === undefined) {
      this.#counters.sent += 1;
      this.#counters.bytesOut += length;
    } else {
      this.#counters.dropped[obstacle] += 1;
    }
    this.#tellIfSent();
  }

  #forget(held: DelayedReply): void {
    this.#held.delete(held);
    held.service.budget.giveDatagram(held.bytes.length);
  }

  #tellIfSent(): void {
    if (this.#held.size > 0) return;
    this.#allSent?.();
    this.#allSent = undefined;
  }
}

class DelayedReply implements Delayed {
  dueMs = 0;
  position = -1;
  turn = 0;
  /** Whose budget it takes. */
  readonly service: ServiceFaults;
  readonly target: LateReply;
  readonly bytes: Uint8Array;
  readonly #owner: DelayedReplies;

  constructor(owner: DelayedReplies, service: ServiceFaults, target: LateReply, bytes: Uint8Array) {
    this.#owner = owner;
    this.service = service;
    this.target = target;
    this.bytes = bytes;
  }

  due(): void {
    this.#owner.send(this);
  }
}
