import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { refuseDescriptorsAt, takeUrgentBytesAt } from '../transport/socket-handle.ts';
import { type Allowance, MessageRate, readCostBytes } from './message-rate.ts';

/** In a child: after standard input, output and error. */
export const channelDescriptor = 3;

/** Limits on what the other end may send. */
export interface ChannelLimits {
  readonly maxMessageBytes: number;
  readonly messages: Allowance;
  /** Includes white space, and `readCostBytes` for each read. */
  readonly bytes: Allowance;
}

export interface ChannelHandlers {
  /** Returns what is wrong with the message, if anything. Nothing is read after a fault. */
  heard(message: unknown): string | undefined;
  /** Input was not a message, too large or too much, or `heard` rejected it. Nothing more is read. */
  failed(fault: string): void;
  /** The other end is gone. */
  closed(): void;
}

/** Messages between the supervisor and a process it started: one JSON document per line, over a socket pair. */
export class Channel {
  readonly #socket: Duplex;
  readonly #maxMessageBytes: number;
  readonly #rate: MessageRate;
  readonly #byteRate: MessageRate;
  readonly #handlers: ChannelHandlers;
  /** An incomplete line, copied together: a byte that arrives alone would cost a buffer. */
  #line = Buffer.alloc(0);
  #lineBytes = 0;
  #hasFailed = false;

  constructor(socket: Duplex, limits: ChannelLimits, monotonicMs: () => number, handlers: ChannelHandlers) {
    this.#socket = socket;
    this.#maxMessageBytes = limits.maxMessageBytes;
    this.#rate = new MessageRate(limits.messages, monotonicMs);
    this.#byteRate = new MessageRate(limits.bytes, monotonicMs);
    this.#handlers = handlers;
    takeOnlyBytesOf(socket);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // A reset is followed by `close`.
    socket.on('error', () => {});
    socket.on('close', () => handlers.closed());
  }

  /** Returns the child's end. The supervisor is trusted. */
  static toSupervisor(heard: (message: unknown) => void, closed: () => void): Channel {
    const limits = { maxMessageBytes: Infinity, messages: unlimited, bytes: unlimited };
    return new Channel(new Socket({ fd: channelDescriptor }), limits, () => 0, {
      heard(message) {
        heard(message);
        return undefined;
      },
      failed: closed,
      closed,
    });
  }

  /** Bytes that the other end has not read yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Sends a message. `sent` is called when it is on its way, or cannot be sent. */
  send(message: object, sent: () => void = () => {}): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`, () => sent());
    else sent();
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (!this.#byteRate.take(chunk.length + readCostBytes)) {
      this.#fail(`more than ${textOf(this.#byteRate.allowance, 'bytes')}`);
      return;
    }
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      if (!this.#take(chunk.subarray(start, end))) return;
      const line = this.#line.toString('utf8', 0, this.#lineBytes);
      this.#lineBytes = 0;
      start = end + 1;
      if (!this.#hear(line)) return;
    }
    this.#take(chunk.subarray(start));
  }

  /** Returns false if the line has become too long. */
  #take(part: Buffer): boolean {
    const start = this.#lineBytes;
    this.#lineBytes += part.length;
    if (this.#lineBytes > this.#maxMessageBytes)
      return this.#fail(`a message of more than ${this.#maxMessageBytes} bytes`);
    if (this.#lineBytes > this.#line.length) this.#line = Buffer.concat([this.#line], 2 * this.#lineBytes);
    part.copy(this.#line, start);
    return true;
  }

  #hear(line: string): boolean {
    if (!this.#rate.take()) return this.#fail(`more than ${textOf(this.#rate.allowance, 'messages')}`);
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return this.#fail('a message that is not JSON');
    }
    const fault = this.#handlers.heard(message);
    return fault === undefined || this.#fail(fault);
  }

  #fail(fault: string): false {
    if (this.#hasFailed) return false;
    this.#hasFailed = true;
    this.#line = Buffer.alloc(0);
    this.#socket.removeAllListeners('data').resume();
    this.#handlers.failed(fault);
    return false;
  }
}

/**
 * What a child has of us are UNIX sockets. It must not send descriptors along with its bytes, nor urgent bytes, each of
 * which would wake us without being read, and so without counting.
 */
export function takeOnlyBytesOf(stream: unknown): void {
  if (!(stream instanceof Socket)) return;
  refuseDescriptorsAt(stream);
  takeUrgentBytesAt(stream);
}

function textOf({ burst, perSecond }: Allowance, what: string): string {
  return `${burst} ${what} at once, or ${perSecond} a second`;
}

const unlimited: Allowance = { burst: Infinity, perSecond: Infinity };

const lineFeed = 0x0a;
