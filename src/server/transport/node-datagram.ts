import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { LookupOneOptions } from 'node:dns';
import { once } from 'node:events';
import { type IpAddress, isIpv4 } from '../../address/ip-address.ts';
import type { Clock } from '../../clock/clock.ts';
import { Deferred } from '../../deferred.ts';
import { allowFragments, hasSockets } from '../../kernel/sockets.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';
import type { DropReason } from '../guard/datagram-guard.ts';
import type { DatagramOrigin, PeerAddress } from '../../service.ts';
import { DatagramAnswers, type DatagramAnswersOptions, type ReplySink } from './datagram-answers.ts';
import type { ReplyTarget } from './delayed-replies.ts';
import type { Neighborhood } from './neighborhood.ts';
import { type BoundAddress, type DatagramTarget, formatBoundAddress, type Listener } from './listener.ts';
import { parsePeer } from './zone.ts';

export interface DatagramListenerOptions extends DatagramAnswersOptions {
  readonly target: DatagramTarget;
  /** Requested from the kernel, which may grant less (net.core.rmem_max). */
  readonly receiveBufferBytes: number;
  /** See `allowFragments`. */
  readonly fragment: boolean;
  /** Whose link address is known, which sockets of Node's do not ask. */
  readonly neighborhood: Neighborhood;
  readonly clock: Clock;
}

/** The most replies queued in a socket, and their bytes. Beyond that, datagrams are dropped as `busy`. */
const sendQueueReplies = 1000;
const sendQueueBytes = 1024 * 1024;

/** How often a closing socket checks whether its queue is empty. */
const flushPollMs = 5;

const noSource: IpAddress = { w0: 0, w1: 0, w2: 0, w3: 0 };

/** A UDP listener over a socket of Node's, for systems without libc. */
export class NodeDatagramListener implements Listener, ReplySink {
  readonly #options: DatagramListenerOptions;
  readonly #socket: Socket;
  readonly #answers: DatagramAnswers;
  readonly #origin: NodeOrigin;
  readonly #isIpv6Only: boolean;
  #suspended = false;
  /** Whether `close` was called. The socket throws if it is closed twice. */
  #closing = false;
  readonly #closed = new Deferred<void>();
  #sourceText = '';
  #source = noSource;
  #port = 0;

  constructor(options: DatagramListenerOptions) {
    this.#options = options;
    this.#answers = new DatagramAnswers(options);
    const ipv6 = options.target.family === 'ipv6';
    this.#isIpv6Only = ipv6 && !('fd' in options.target);
    this.#socket = createSocket({
      type: ipv6 ? 'udp6' : 'udp4',
      ipv6Only: ipv6,
      recvBufferSize: options.receiveBufferBytes,
      lookup: literal,
    });
    this.#origin = new NodeOrigin(this.#socket, options.clock);
    this.#socket.on('message', (request, peer) => this.#request(request, peer));
    this.#socket.on('close', () => this.#closed.resolve());
  }

  async open(): Promise<BoundAddress> {
    const { target, fragment } = this.#options;
    if ('fd' in target && hasSockets) allowFragments(target.fd, target.family, fragment);
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
    const { delayed } = this.#answers;
    // A socket of Node's receives until it is closed. What arrives from now on is for whoever has a copy of this one.
    if ('fd' in this.#options.target) delayed?.close();
    if (delayed === undefined) this.#closeWhenFlushed();
    else delayed.whenSent(() => this.#closeWhenFlushed());
  }

  async drain(): Promise<void> {
    await this.#closed.promise;
  }

  destroy(): void {
    this.#suspended = true;
    this.#answers.delayed?.close();
    this.#close();
  }

  setFaults(faults: ServiceFaults | undefined): void {
    this.#answers.setFaults(faults);
  }

  get origin(): DatagramOrigin {
    return this.#origin;
  }

  /** Called by `answer`. */
  reply(bytes: Uint8Array): DropReason | undefined {
    return this.#send(bytes, this.#port, this.#sourceText);
  }

  replyTarget(): ReplyTarget {
    const [port, address] = [this.#port, this.#sourceText];
    return { reply: (bytes) => this.#send(bytes, port, address) };
  }

  #send(bytes: Uint8Array, port: number, address: string): DropReason | undefined {
    // A service may close its daemon while it answers.
    if (this.#closing) return 'send-error';
    if (this.#socket.getSendQueueCount() >= sendQueueReplies) return 'busy';
    if (this.#socket.getSendQueueSize() > sendQueueBytes) return 'busy';
    // No callback: a reply that the kernel refuses is a lost datagram like any other.
    this.#socket.send(bytes, port, address);
    return undefined;
  }

  #request(request: Buffer, { address, port }: RemoteInfo): void {
    if (this.#suspended) return;
    if (address !== this.#sourceText) {
      this.#sourceText = address;
      this.#source = parsePeer(address) ?? noSource;
    }
    // Our own IPv6 sockets receive no IPv4: it is an IPv6 packet in disguise. An inherited socket may.
    if (this.#isIpv6Only && isIpv4(this.#source)) {
      this.#answers.dropped(request, 'source-address');
      return;
    }
    this.#port = port;
    this.#origin.set(address, port);
    this.#answers.answer(this.#source, port, request, this.#options.clock.monotonicMs(), this);
  }

  /** Waits for the send queue first, because closing a socket drops it. */
  #closeWhenFlushed(): void {
    if (this.#closing) return;
    if (this.#socket.getSendQueueCount() === 0) this.#close();
    else this.#options.clock.after(flushPollMs, () => this.#closeWhenFlushed());
  }

  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.close();
  }
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
  if ('fd' in target) return { fd: target.fd };
  return { address: target.address, port: target.port };
}

/** The origin of a datagram, as far as Node tells. */
class NodeOrigin implements DatagramOrigin {
  readonly via = undefined;
  readonly ttl = undefined;
  readonly dscp = undefined;
  readonly ecn = undefined;
  readonly #socket: Socket;
  readonly #clock: Clock;
  #address = '';
  #port = 0;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  set(address: string, port: number): void {
    this.#address = address;
    this.#port = port;
  }

  get peer(): PeerAddress {
    return { family: familyOf(this.#address), address: this.#address, port: this.#port };
  }

  get local(): PeerAddress {
    const { address, port } = this.#socket.address();
    return { family: familyOf(address), address, port };
  }

  get listener(): string {
    const { address, port } = this.#socket.address();
    return formatBoundAddress({ transport: 'udp', address, port });
  }

  get receivedAtUs(): number {
    return this.#clock.now().getTime() * 1000;
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
