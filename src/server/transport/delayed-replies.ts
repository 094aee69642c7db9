import type { DatagramCounters } from '../counters.ts';
import type { DatagramFaults } from '../faults/datagram-faults.ts';
import type { Delayed } from '../faults/delay-queue.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';
import type { DropReason } from '../guard/datagram-guard.ts';

/** Replies to one datagram, whenever that is. */
export interface ReplyTarget {
  /** Sends a reply, or says why not. */
  reply(bytes: Uint8Array): DropReason | undefined;
}

/** The replies of one UDP listener that faults delay. */
export class DelayedReplies {
  #service: ServiceFaults | undefined;
  #faults: DatagramFaults | undefined;
  readonly #counters: DatagramCounters;
  readonly #delayed = new Set<DelayedReply>();
  #isClosed = false;
  #allSent: (() => void) | undefined;

  constructor(counters: DatagramCounters) {
    this.#counters = counters;
  }

  /** Replaces the faults. What is delayed stays. */
  use(service: ServiceFaults): void {
    this.#service = service;
    this.#faults = service.forListener();
  }

  /** Returns what leaves in place of these replies. */
  spoil(replies: readonly Uint8Array[]): readonly Uint8Array[] {
    return this.#faults?.spoil(replies) ?? replies;
  }

  /**
   * Whether a reply is delayed: a copy of it is sent when it is due. If the limits do not allow that, the reply is
   * lost, and counted.
   */
  delays(reply: Uint8Array, sink: { replyTarget(): ReplyTarget }, nowMs: number): boolean {
    const service = this.#service;
    const delayMs = this.#faults?.drawDelayMs() ?? 0;
    if (service === undefined || delayMs === 0) return false;
    const { budget, queue, counts } = service;
    if (this.#isClosed || !budget.takeDatagram(reply.length)) {
      counts.datagram.maxDelayed += 1;
      return true;
    }
    const delayed = new DelayedReply(this, service, sink.replyTarget(), Uint8Array.from(reply));
    this.#delayed.add(delayed);
    queue.set(delayed, nowMs + delayMs);
    return true;
  }

  /** Calls `task` as soon as nothing is delayed: immediately, or after the last one. */
  whenSent(task: () => void): void {
    if (this.#delayed.size === 0) task();
    else this.#allSent = task;
  }

  /** Forgets what is delayed. From now on everything is. */
  close(): void {
    this.#isClosed = true;
    for (const delayed of this.#delayed) {
      delayed.service.queue.remove(delayed);
      this.#forget(delayed);
    }
    this.#tellIfSent();
  }

  /** Called when it is due. */
  send(delayed: DelayedReply): void {
    this.#forget(delayed);
    const { length } = delayed.bytes;
    const obstacle = delayed.target.reply(delayed.bytes);
    if (obstacle === undefined) {
      this.#counters.sent += 1;
      this.#counters.bytesOut += length;
    } else {
      this.#counters.dropped[obstacle] += 1;
    }
    this.#tellIfSent();
  }

  #forget(delayed: DelayedReply): void {
    this.#delayed.delete(delayed);
    delayed.service.budget.giveDatagram(delayed.bytes.length);
  }

  #tellIfSent(): void {
    if (this.#delayed.size > 0) return;
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
  readonly target: ReplyTarget;
  readonly bytes: Uint8Array;
  readonly #owner: DelayedReplies;

  constructor(owner: DelayedReplies, service: ServiceFaults, target: ReplyTarget, bytes: Uint8Array) {
    this.#owner = owner;
    this.service = service;
    this.target = target;
    this.bytes = bytes;
  }

  due(): void {
    this.#owner.send(this);
  }
}
