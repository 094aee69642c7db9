import { closeSync } from 'node:fs';
import { formatHostPort } from '../../address/host-port.ts';
import { failed, hungUp, readable, readiness, type Watcher, writable } from '../../kernel/readiness.ts';
import { boundTo, formatInetAddress } from '../../kernel/sockets.ts';
import { isWait, streams, type TcpInfo } from '../../kernel/streams.ts';
import { errorCodeOf } from '../../kernel/system-error.ts';
import type { StreamSocket, StreamSocketUser } from './stream-socket.ts';

/**
 * What the kernel may still hold for a peer when its socket is closed. It would keep megabytes for minutes for one that
 * has stopped reading, without a limit that counts them.
 */
export const maxUndeliveredBytes = 4096;

/** A direct stream socket, which it closes. */
export class KernelStreamSocket implements StreamSocket, Watcher {
  readonly #descriptor: number;
  readonly #isTcp: boolean;
  readonly #readsTcpInfo: boolean;
  #user: StreamSocketUser | undefined;
  /** Its number in the epoll set; 0 as long as it is not there. A client that is answered at once never is. */
  #watched = 0;
  #interest = 0;
  #isReading = false;
  #isEnding = false;
  #hasPeerEnded = false;
  /** What the kernel has not taken yet, in order. Undefined while there is nothing. */
  #queue: Buffer[] | undefined;
  isFinished = false;
  isDestroyed = false;
  received = 0;
  unsent = 0;
  /** Bytes that the kernel has taken. */
  #sent = 0;
  errorCode: string | undefined = undefined;
  tcpInfo: TcpInfo | undefined = undefined;

  constructor(descriptor: number, isTcp: boolean, readsTcpInfo: boolean = false) {
    this.#descriptor = descriptor;
    this.#isTcp = isTcp;
    this.#readsTcpInfo = readsTcpInfo;
  }

  get local(): string {
    const bound = boundTo(this.#descriptor);
    return bound.family === 'unix' ? '' : formatHostPort(formatInetAddress(bound), bound.port);
  }

  get takesMore(): boolean {
    return this.unsent === 0;
  }

  use(user: StreamSocketUser): void {
    this.#user = user;
  }

  /** Sockets have the options of their listener. */
  setOptions(): void {}

  startReading(): void {
    if (this.isDestroyed || this.#isReading) return;
    this.#isReading = true;
    // Most clients that were answered at once are gone by now.
    if (this.isFinished && this.#watched === 0) this.#read();
    this.#updateInterest();
  }

  stopReading(): void {
    this.#isReading = false;
    this.#updateInterest();
  }

  write(bytes: Uint8Array): void {
    if (this.isDestroyed || this.#isEnding) return;
    this.#send(bytes, false);
    this.#updateInterest();
  }

  end(bytes?: Uint8Array): void {
    if (this.isDestroyed || this.#isEnding) return;
    this.#isEnding = true;
    // The answer and our FIN go in one segment.
    if (bytes !== undefined) this.#send(bytes, true);
    if (this.unsent === 0) this.#finish();
    this.#updateInterest();
  }

  review(): number {
    if (this.isDestroyed) return 0;
    const unacknowledged = this.unsent + this.#countUnacknowledged();
    // It is no longer watched, so this is where its end is noticed.
    if (this.isFinished && this.#hasPeerEnded) {
      const error = streams().takeError(this.#descriptor);
      if (error !== 0) this.#fail(error);
      else if (unacknowledged <= maxUndeliveredBytes) this.destroy();
    }
    return unacknowledged;
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    if (this.#watched !== 0) readiness().forget(this.#watched);
    if (this.#readsTcpInfo) this.tcpInfo = streams().tcpInfo(this.#descriptor);
    closeSync(this.#descriptor);
    process.nextTick(() => this.#user?.closed());
  }

  reset(): void {
    if (!this.isDestroyed) streams().resetOnClose(this.#descriptor);
    this.destroy();
  }

  /** Called when the kernel is ready for something. */
  ready(events: number): void {
    if ((events & writable) !== 0) this.#flush();
    if (this.isDestroyed) return;
    const isOver = (events & (failed | hungUp)) !== 0;
    // Once both sides have sent their FIN, what is left is read: a close with unread input would reset our answer.
    const mayRead = (this.#isReading || this.isFinished) && !this.#hasPeerEnded;
    if (mayRead && (isOver || (events & readable) !== 0)) this.#read();
    // Reported again and again, and nobody reads who would find it out.
    else if (isOver) this.#fail(streams().takeError(this.#descriptor));
    if (!this.isDestroyed) this.#updateInterest();
  }

  #read(): void {
    const calls = streams();
    const count = calls.receive(this.#descriptor);
    if (count > 0) {
      this.received += count;
      this.#user?.received(calls.arena.subarray(0, count));
    } else if (count === 0) {
      this.#hasPeerEnded = true;
      if (this.isFinished) this.#close();
      else this.#user?.peerEnded();
    } else if (!isWait(count)) {
      this.#fail(count);
    }
  }

  #send(bytes: Uint8Array, hasMore: boolean): void {
    let sent = 0;
    if (this.#queue === undefined) {
      const result = streams().send(this.#descriptor, bytes, hasMore);
      if (result > 0) this.#sent += result;
      if (result === bytes.length) return;
      if (result < 0 && !isWait(result)) {
        this.#fail(result);
        return;
      }
      sent = Math.max(0, result);
    }
    // The caller may reuse its memory.
    const rest = Buffer.from(bytes.subarray(sent));
    this.#queue ??= [];
    this.#queue.push(rest);
    this.unsent += rest.length;
  }

  #flush(): void {
    for (let bytes = this.#queue?.[0]; bytes !== undefined; bytes = this.#queue?.[0]) {
      const sent = streams().send(this.#descriptor, bytes, false);
      if (sent < 0) {
        if (!isWait(sent)) this.#fail(sent);
        return;
      }
      this.unsent -= sent;
      this.#sent += sent;
      if (sent < bytes.length) {
        this.#queue![0] = bytes.subarray(sent);
        return;
      }
      this.#queue!.shift();
    }
    this.#queue = undefined;
    if (this.#isEnding) this.#finish();
    else this.#user?.flushed();
  }

  #finish(): void {
    if (this.isDestroyed || this.isFinished) return;
    streams().finish(this.#descriptor);
    this.isFinished = true;
    if (this.#hasPeerEnded) this.#close();
  }

  /** Both sides have ended. */
  #close(): void {
    // Most clients were sent less, which costs no call of the kernel.
    if (this.#sent <= maxUndeliveredBytes || this.#countUnacknowledged() <= maxUndeliveredBytes) {
      this.destroy();
      return;
    }
    // `review` closes it. Until then the kernel would report again and again that it has ended.
    if (this.#watched !== 0) readiness().unwatch(this.#watched, this.#descriptor);
    this.#watched = 0;
  }

  #countUnacknowledged(): number {
    if (!this.#isTcp) return 0;
    return Math.max(0, streams().countUnacknowledged(this.#descriptor) - (this.isFinished ? 1 : 0));
  }

  /** `error` is negative, or 0 if nothing is known but that the peer is gone. */
  #fail(error: number): void {
    this.errorCode ??= error === 0 ? 'EPIPE' : errorCodeOf(-error);
    // If the kernel is out of memory, say, the peer must not take what it has for all.
    if (error !== 0 && this.unsent > 0 && this.#isTcp) this.reset();
    else this.destroy();
  }

  #updateInterest(): void {
    if (this.isDestroyed || (this.isFinished && this.#hasPeerEnded)) return;
    const interest =
      (this.#isReading && !this.#hasPeerEnded ? readable : 0) | (this.#queue === undefined ? 0 : writable);
    if (interest === this.#interest) return;
    this.#interest = interest;
    try {
      if (this.#watched === 0) this.#watched = readiness().watch(this.#descriptor, interest, this);
      else readiness().change(this.#watched, this.#descriptor, interest);
    } catch (error) {
      // No memory, or too many watches of this user: only this client must go.
      this.errorCode ??= (error as NodeJS.ErrnoException).code;
      this.destroy();
    }
  }
}
