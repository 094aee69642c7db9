import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** In a child: standard input, output and error come first, then Node's own channel. */
export const channelDescriptor = 4;

/** Bounds on what the other end may send. */
export interface ChannelLimits {
  readonly maxMessageBytes: number;
  readonly maxMessagesPerSecond: number;
}

export interface ChannelHandlers {
  heard(message: unknown): void;
  /** What came is not a message, or too large, or too much. Nothing is read from then on. */
  failed(fault: string): void;
  /** The other end is gone. */
  closed(): void;
}

/** Messages between the supervisor and a process that it has started: a JSON document a line, over a socket pair. */
export class Channel {
  readonly #socket: Duplex;
  readonly #limits: ChannelLimits;
  readonly #handlers: ChannelHandlers;
  readonly #monotonicMs: () => number;
  /** The start of a line whose end has not come. */
  #parts: Buffer[] = [];
  #waiting = 0;
  #secondStartMs = Number.NEGATIVE_INFINITY;
  #heardInSecond = 0;
  #hasFailed = false;

  constructor(socket: Duplex, limits: ChannelLimits, monotonicMs: () => number, handlers: ChannelHandlers) {
    this.#socket = socket;
    this.#limits = limits;
    this.#handlers = handlers;
    this.#monotonicMs = monotonicMs;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // A reset is followed by `close`.
    socket.on('error', () => {});
    socket.on('close', () => handlers.closed());
  }

  /** The child's end. What its supervisor says is believed. */
  static toSupervisor(handlers: Pick<ChannelHandlers, 'heard' | 'closed'>): Channel {
    const limits = { maxMessageBytes: Infinity, maxMessagesPerSecond: Infinity };
    return new Channel(new Socket({ fd: channelDescriptor }), limits, () => 0, {
      ...handlers,
      failed: handlers.closed,
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
    if (this.#waiting > this.#limits.maxMessageBytes)
      return this.#fail(`a message of more than ${this.#limits.maxMessageBytes} bytes`);
    if (part.length > 0) this.#parts.push(part);
    return true;
  }

  #hear(line: string): boolean {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#secondStartMs >= 1000) {
      this.#secondStartMs = nowMs;
      this.#heardInSecond = 0;
    }
    this.#heardInSecond += 1;
    if (this.#heardInSecond > this.#limits.maxMessagesPerSecond)
      return this.#fail(`more than ${this.#limits.maxMessagesPerSecond} messages in a second`);
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return this.#fail('a message that is not JSON');
    }
    this.#handlers.heard(message);
    // Whoever heard it may have found it wrong.
    return !this.#hasFailed;
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

const lineFeed = 0x0a;
