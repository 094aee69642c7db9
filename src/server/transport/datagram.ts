import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { LookupOneOptions } from 'node:dns';
import { once } from 'node:events';
import { type IpAddress, parseIp } from '../../address/ip-address.ts';
import type { Clock } from '../../clock/clock.ts';
import { Deferred } from '../../deferred.ts';
import type { ConnectionLog } from '../connection-log.ts';
import type { DatagramCounters } from '../counters.ts';
import type { DatagramGuard } from '../guard/datagram-guard.ts';
import type { Service } from '../../service.ts';
import type { BoundAddress, DatagramTarget, Listener } from './listener.ts';
import { synchronous } from './synchronous.ts';

export interface DatagramListenerOptions {
  readonly target: DatagramTarget;
  readonly service: Service;
  /** Requested from the kernel, which may grant less (net.core.rmem_max). */
  readonly receiveBufferBytes: number;
  /** Shared by all datagram listeners of the service. */
  readonly guard: DatagramGuard;
  readonly counters: DatagramCounters;
  readonly connectionLog: ConnectionLog;
  readonly clock: Clock;
}

/** The most reply bytes queued in a socket. Beyond that, the guard drops datagrams as `busy`. */
const sendQueueBytes = 1024 * 1024;

/** How often a closing socket checks whether its queue is empty. */
const flushPollMs = 5;

const noSource: IpAddress = { w0: 0, w1: 0, w2: 0, w3: 0 };

/** A UDP listener and only owner of its socket. The service returns bytes, the guard decides whether to send them. */
export class DatagramListener implements Listener {
  readonly #options: DatagramListenerOptions;
  readonly #socket: Socket;
  #suspended = false;
  /** Whether `close` was called. The socket throws if it is closed twice. */
  #closing = false;
  readonly #closed = new Deferred<void>();
  #sourceText = '';
  #source = noSource;

  constructor(options: DatagramListenerOptions) {
    this.#options = options;
    const ipv6 = options.target.family === 'ipv6';
    this.#socket = createSocket({
      type: ipv6 ? 'udp6' : 'udp4',
      ipv6Only: ipv6,
      recvBufferSize: options.receiveBufferBytes,
      lookup: literal,
    });
    this.#socket.on('message', (request, peer) => this.#request(request, peer));
    this.#socket.on('close', () => this.#closed.resolve());
  }

  async open(): Promise<BoundAddress> {
    const { target } = this.#options;
    const listening = once(this.#socket, 'listening');
    this.#socket.bind(bindOptions(target));
    await listening.catch((error: unknown) => {
      this.#close();
      throw error;
    });
    this.#socket.on('error', (error) => this.#options.connectionLog.listenerFailed(error));
    const { address, port } = this.#socket.address();
    return { transport: 'udp', address, port };
  }

  suspend(): void {
    if (this.#suspended) return;
    this.#suspended = true;
    this.#closeWhenFlushed();
  }

  async drain(): Promise<void> {
    await this.#closed.promise;
  }

  destroy(): void {
    this.#suspended = true;
    this.#close();
  }

  #request(request: Buffer, { address, port }: RemoteInfo): void {
    const { service, guard, counters, connectionLog, clock } = this.#options;
    if (this.#suspended) return;
    counters.received += 1;
    counters.bytesIn += request.length;
    if (address !== this.#sourceText) {
      this.#sourceText = address;
      this.#source = parseIp(address) ?? noSource;
    }
    const source = this.#source;
    const nowMs = clock.monotonicMs();
    const refusal = guard.judge(source, port, request, nowMs);
    if (refusal !== undefined) {
      counters.dropped[refusal] += 1;
      return;
    }
    const limit = guard.replyLimit(source, request.length);
    let replies: readonly Uint8Array[];
    try {
      replies = asReplies(synchronous(service.datagram?.(request, limit)));
    } catch (error) {
      counters.dropped['service-error'] += 1;
      connectionLog.serviceFailed(error);
      return;
    }
    const fitting = guard.fitting(source, request.length, replies);
    counters.dropped.amplification += replies.length - fitting;
    for (let index = 0; index < fitting; index += 1) {
      const reply = replies[index]!;
      if (this.#socket.getSendQueueSize() > sendQueueBytes) {
        counters.dropped.busy += 1;
        continue;
      }
      // No callback: a reply that the kernel refuses is a lost datagram like any other.
      this.#socket.send(reply, port, address);
      counters.sent += 1;
      counters.bytesOut += reply.length;
      guard.sent(source, port, request, reply, nowMs);
    }
  }

  /** Waits for the send queue first, because closing a socket drops it. */
  #closeWhenFlushed(): void {
    if (this.#closing) return;
    if (this.#socket.getSendQueueSize() === 0) this.#close();
    else this.#options.clock.after(flushPollMs, () => this.#closeWhenFlushed());
  }

  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.close();
  }
}

const silence: readonly Uint8Array[] = [];

/** Validates what a service, possibly from a module, returned. Throws a TypeError if it is not an answer. */
function asReplies(answer: unknown): readonly Uint8Array[] {
  if (answer === undefined || answer === null) return silence;
  if (answer instanceof Uint8Array) return [answer];
  if (Array.isArray(answer) && answer.every((each) => each instanceof Uint8Array)) return answer;
  throw new TypeError('datagram() returned neither bytes, nor a list of bytes, nor undefined');
}

/**
 * Skips name resolution, because replies go to literal addresses and Node's own lookup would defer each to the next
 * tick. https://nodejs.org/api/dgram.html#dgramcreatesocketoptions-callback
 */
function literal(
  address: string,
  { family }: LookupOneOptions,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, address, family === 6 ? 6 : 4);
}

function bindOptions(target: DatagramTarget): object {
  // In a worker, `fd` is its own inherited copy, not the primary's descriptor.
  if ('fd' in target) return { fd: target.fd, exclusive: true };
  // A port chosen by the system is unprivileged, and cluster would give the first one of every worker the same socket.
  return { address: target.address, port: target.port, exclusive: target.port === 0 };
}
