import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { MessageRate } from './message-rate.ts';

/** In a child: standard input, output and error come first, then Node's own channel. */
export const channelDescriptor = 4;

/** Bounds on what the other end may send. */
export interface ChannelLimits {
  readonly maxMessageBytes: number;
  readonly maxMessagesPerSecond: number;
  /** White space counts, too. */
  readonly maxBytesPerSecond: number;
}

export interface ChannelHandlers {
  /** What is wrong with the message, if anything: nothing is read after it. */
  heard(message: unknown): string | undefined;
  /** What came is not a message, or too large, or too much, or `heard` found it wrong. Nothing is read from then on. */
  failed(fault: string): void;
  /** The other end is gone. */
  closed(): void;
}

/** Messages between the supervisor and a process that it has started: a JSON document a line, over a socket pair. */
export class Channel {
  readonly #socket: Duplex;
  readonly #maxMessageBytes: number;
  readonly #rate: MessageRate;
  readonly #byteRate: MessageRate;
  readonly #handlers: ChannelHandlers;
  /** The start of a line whose end has not come. */
  #parts: Buffer[] = [];
  #waiting = 0;
  #hasFailed = false;

  constructor(socket: Duplex, limits: ChannelLimits, monotonicMs: () => number, handlers: ChannelHandlers) {
    this.#socket = socket;
    this.#maxMessageBytes = limits.maxMessageBytes;
    this.#rate = new MessageRate(limits.maxMessagesPerSecond, monotonicMs);
    this.#byteRate = new MessageRate(limits.maxBytesPerSecond, monotonicMs);
    this.#handlers = handlers;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // A reset is followed by `close`.
    socket.on('error', () => {});
    socket.on('close', () => handlers.closed());
  }

  /** The child's end. What its supervisor says is believed. */
  static toSupervisor(heard: (message: unknown) => void, closed: () => void): Channel {
    const limits = { maxMessageBytes: Infinity, maxMessagesPerSecond: Infinity, maxBytesPerSecond: Infinity };
    return new Channel(new Socket({ fd: channelDescriptor }), limits, () => 0, {
      heard(message) {
        heard(message);
        return undefined;
      },
      failed: closed,
      closed,
    });
  }

  /** Bytes that the other end has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** `sent` is called when the message is on its way, or cannot be. */
  send(message: object, sent: () => void = () => {}): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`, () => sent());
    else sent();
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (!this.#byteRate.take(chunk.length)) {
      this.#fail(`more than ${this.#byteRate.perSecond} bytes in a second`);
      return;
    }
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      if (!this.#take(chunk.subarray(start, end))) return;
      const line = Buffer.concat(this.#parts.splice(0)).toString();
      this.#waiting = 0;
      start = end + 1;
      if (!this.#hear(line)) return;
    }
    this.#take(chunk.subarray(start));
  }

  /** False where the line has become too long. */
  #take(part: Buffer): boolean {
    this.#waiting += part.length;
    if (this.#waiting > this.#maxMessageBytes)
      return this.#fail(`a message of more than ${this.#maxMessageBytes} bytes`);
    if (part.length > 0) this.#parts.push(part);
    return true;
  }

  #hear(line: string): boolean {
    if (!this.#rate.take()) return this.#fail(`more than ${this.#rate.perSecond} messages in a second`);
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
    this.#parts = [];
    this.#socket.removeAllListeners('data').resume();
    this.#handlers.failed(fault);
    return false;
  }
}

/**
 * Reads what comes on a descriptor, owns it from then on, and returns what closes it. Descriptors that come with the
 * bytes are closed by the kernel, as nobody takes them: unix(7), SCM_RIGHTS.
 */
export function readDescriptor(descriptor: number, heard: (bytes: Uint8Array) => void, closed: () => void): () => void {
  const socket = new Socket({ fd: descriptor, readable: true, writable: false });
  socket.on('data', heard);
  // `close` follows.
  socket.on('error', () => {});
  socket.on('close', closed);
  return () => void socket.destroy();
}

const lineFeed = 0x0a;
