import { isUint8Array } from 'node:util/types';
import type { IpAddress } from '../../address/ip-address.ts';
import type { ConnectionLog } from '../connection-log.ts';
import type { DatagramCounters } from '../counters.ts';
import type { DatagramGuard, DropReason } from '../guard/datagram-guard.ts';
import type { DatagramIntake } from '../guard/datagram-intake.ts';
import type { Offenders } from '../guard/offenders.ts';
import type { HandlerTimer } from '../handler-time.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';
import type { DatagramOrigin, Service } from '../../service.ts';
import { DelayedReplies, type ReplyTarget } from './delayed-replies.ts';
import { ProxiedOrigin } from './proxied-origin.ts';
import { synchronous } from './synchronous.ts';

export interface DatagramAnswersOptions {
  readonly service: Service;
  /** Shared by all datagram listeners of the service. */
  readonly guard: DatagramGuard;
  readonly counters: DatagramCounters;
  readonly timer: HandlerTimer;
  readonly offenders: Offenders<DropReason>;
  readonly connectionLog: ConnectionLog;
  /** Undefined if the service has none. */
  readonly faults: ServiceFaults | undefined;
  /** Undefined if clients send directly, without a proxy. */
  readonly intake?: DatagramIntake | undefined;
}

/** Where a datagram came from, and where a reply goes. Both are the proxy, if there is one. */
export interface ReplySink {
  /** Of the datagram being answered. */
  readonly origin: DatagramOrigin;
  /** Sends a reply to the datagram being answered, or says why not. */
  reply(bytes: Uint8Array): DropReason | undefined;
  /** Returns what replies to it after the call, when other datagrams are being answered. */
  replyTarget(): ReplyTarget;
}

/** What happens to a datagram between its socket and its service: guard, service, faults, cap, counters. */
export class DatagramAnswers {
  readonly #options: DatagramAnswersOptions;
  /** Undefined if the service has no faults. */
  #faulty: DelayedReplies | undefined;
  /** Undefined if it never had any. */
  #delayed: DelayedReplies | undefined;

  constructor(options: DatagramAnswersOptions) {
    this.#options = options;
    this.setFaults(options.faults);
  }

  /** Replies that earlier faults delay are still sent. */
  setFaults(faults: ServiceFaults | undefined): void {
    if (faults !== undefined) {
      this.#delayed ??= new DelayedReplies(this.#options.counters);
      this.#delayed.use(faults);
    }
    this.#faulty = faults === undefined ? undefined : this.#delayed;
  }

  /** Replies that are delayed and not sent yet. Undefined if there never were any. */
  get delayed(): DelayedReplies | undefined {
    return this.#delayed;
  }

  /** Handles a datagram. `nowMs` is monotonic. The datagram is not used after the call. */
  answer(peer: IpAddress, port: number, datagram: Uint8Array, nowMs: number, sink: ReplySink): void {
    const { guard, intake } = this.#options;
    if (intake !== undefined) {
      this.#answerProxied(intake, peer, port, datagram, nowMs, sink);
      return;
    }
    const refusal = guard.judge(peer, port, datagram, nowMs);
    if (refusal === undefined) this.#serve(peer, peer, port, datagram, nowMs, sink, sink.origin);
    else this.#refuse(peer, port, datagram, refusal);
  }

  #answerProxied(
    intake: DatagramIntake,
    proxy: IpAddress,
    port: number,
    datagram: Uint8Array,
    nowMs: number,
    sink: ReplySink,
  ): void {
    const { guard } = this.#options;
    const request = intake.read(proxy, port, datagram);
    if (request === undefined) {
      this.#refuse(proxy, port, datagram, 'proxy-header');
      return;
    }
    const { payload } = request;
    const refusal = guard.judgeProxy(proxy, port, request, nowMs);
    if (refusal !== undefined) {
      this.#refuse(proxy, port, payload, refusal);
      return;
    }
    const { ip, port: clientPort } = request.client;
    const refusalOfClient = guard.judge(ip, clientPort, payload, nowMs, true);
    if (refusalOfClient !== undefined) this.#refuse(ip, clientPort, payload, refusalOfClient);
    else this.#serve(proxy, ip, clientPort, payload, nowMs, sink, new ProxiedOrigin(sink.origin, request.client));
  }

  #refuse(source: IpAddress, port: number, request: Uint8Array, reason: DropReason): void {
    this.dropped(request, reason);
    this.#options.offenders.note(reason, source, port);
  }

  /** Answers a request that the guard has admitted. `receiver`: whoever the replies are sent to. */
  #serve(
    receiver: IpAddress,
    source: IpAddress,
    port: number,
    request: Uint8Array,
    nowMs: number,
    sink: ReplySink,
    origin: DatagramOrigin,
  ): void {
    const { service, guard, counters, timer, connectionLog } = this.#options;
    counters.received += 1;
    counters.bytesIn += request.length;
    const limit = guard.replyLimit(receiver, request.length);
    let replies: readonly Uint8Array[];
    const beganMs = timer.begin();
    try {
      replies = asReplies(synchronous(service.datagram?.(request, limit, origin)));
      timer.end(beganMs);
    } catch (error) {
      counters.dropped['service-error'] += 1;
      connectionLog.serviceFailed(error);
      return;
    }
    const faulty = this.#faulty;
    // Before the cap, so that it holds for copies, too.
    if (faulty !== undefined) replies = faulty.spoil(replies);
    const fitting = guard.fitting(receiver, request.length, replies);
    counters.dropped.amplification += replies.length - fitting;
    for (let index = 0; index < fitting; index += 1) {
      const reply = replies[index]!;
      if (faulty?.delays(reply, sink, nowMs) === true) {
        guard.sent(source, port, request, reply, nowMs);
        continue;
      }
      const obstacle = sink.reply(reply);
      if (obstacle !== undefined) {
        counters.dropped[obstacle] += 1;
        continue;
      }
      counters.sent += 1;
      counters.bytesOut += reply.length;
      guard.sent(source, port, request, reply, nowMs);
    }
  }

  /** Counts a datagram that is dropped before the service sees it. */
  dropped(request: Uint8Array, reason: DropReason): void {
    const { counters } = this.#options;
    counters.received += 1;
    counters.bytesIn += request.length;
    counters.dropped[reason] += 1;
  }

  /** The kernel has refused a reply of so many bytes that was counted as sent. */
  notSent(length: number): void {
    const { counters } = this.#options;
    counters.sent -= 1;
    counters.bytesOut -= length;
    counters.dropped['send-error'] += 1;
  }

  /** The kernel has dropped so many datagrams, because the receive buffer was full. */
  overflowed(count: number): void {
    this.#options.counters.dropped.overflow += count;
  }
}

const silence: readonly Uint8Array[] = [];

/** Validates what a service, possibly from a module, returned. Throws a TypeError if it is not an answer. */
function asReplies(answer: unknown): readonly Uint8Array[] {
  if (answer === undefined || answer === null) return silence;
  if (isUint8Array(answer)) return [answer];
  if (Array.isArray(answer) && answer.every(isUint8Array)) return answer;
  throw new TypeError('datagram() returned neither bytes, nor a list of bytes, nor undefined');
}
