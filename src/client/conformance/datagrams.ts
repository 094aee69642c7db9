import { ask } from '../dial/ask.ts';
import { DatagramSocket } from '../dial/datagram-socket.ts';
import type { CheckContext } from './check.ts';
import { comesWithin } from './pause.ts';

/** The datagrams that come back to one socket. */
export class Inbox {
  readonly replies: Uint8Array[] = [];
  readonly #context: CheckContext;
  #socket: DatagramSocket | undefined;
  #error: Error | undefined;
  #changed: () => void = () => {};

  private constructor(context: CheckContext) {
    this.#context = context;
  }

  /**
   * From this local port; the system chooses one unless given. Throws `CONNECT_FAILED` where the port cannot be had.
   */
  static async open(context: CheckContext, localPort?: number): Promise<Inbox> {
    const inbox = new Inbox(context);
    const handlers = {
      datagram: (bytes: Uint8Array): void => {
        inbox.replies.push(bytes);
        inbox.#changed();
      },
      failed: (error: Error): void => {
        inbox.#error = error;
        inbox.#changed();
      },
    };
    inbox.#socket = await DatagramSocket.open(context.address, context.port, handlers, localPort);
    return inbox;
  }

  /** Runs a talk with a socket of its own. */
  static async with<Value>(context: CheckContext, talk: (inbox: Inbox) => Promise<Value>): Promise<Value> {
    const inbox = await Inbox.open(context);
    try {
      return await talk(inbox);
    } finally {
      inbox.close();
    }
  }

  /** Throws `CONNECT_FAILED`. */
  async send(bytes: Uint8Array): Promise<void> {
    await this.#socket?.send(bytes);
  }

  close(): void {
    this.#socket?.close();
  }

  /**
   * Waits until so many replies are there, or none has come for `quietMs`; for the first one it waits longer. Throws
   * `CONNECT_FAILED` where the peer's machine says that nobody listens.
   */
  async collect(count: number): Promise<readonly Uint8Array[]> {
    const { timeoutMs, quietMs } = this.#context;
    for (;;) {
      const before = this.replies.length;
      if (before >= count) return this.replies;
      const waitMs = before === 0 ? Math.max(timeoutMs, quietMs) : quietMs;
      if (!(await this.#comes(() => this.replies.length > before, waitMs))) return this.replies;
    }
  }

  /** Waits until `quietMs` have passed without a reply. Throws what `collect` throws. */
  async quiet(): Promise<readonly Uint8Array[]> {
    for (;;) {
      const before = this.replies.length;
      if (!(await this.#comes(() => this.replies.length > before, this.#context.quietMs))) return this.replies;
    }
  }

  /** Whether it comes to that in this time. */
  async #comes(isSo: () => boolean, timeoutMs: number): Promise<boolean> {
    return comesWithin(this.#context, timeoutMs, (resolve, reject) => {
      this.#changed = () => {
        if (this.#error !== undefined) reject(this.#error);
        else if (isSo()) resolve();
      };
      this.#changed();
      return () => {
        this.#changed = () => {};
      };
    });
  }
}

/** One request and the first datagram that comes back; it asks again a few times. Throws `NO_ANSWER`. */
export async function askFor(context: CheckContext, request: Uint8Array): Promise<Uint8Array> {
  const { address, port, timeoutMs, signal, clock } = context;
  const family = address.family === 'ipv6' ? 'ipv6' : 'ipv4';
  return (await ask({ host: address.address, port }, () => request, { timeoutMs, signal, clock, family })).bytes;
}
