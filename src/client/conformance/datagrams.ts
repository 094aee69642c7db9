import { ask } from '../dial/ask.ts';
import { DatagramSocket } from '../dial/datagram-socket.ts';
import { comesWithin } from '../dial/wait.ts';
import type { CheckContext } from './check.ts';

/** Spacing between datagrams that are not a burst. Servers drop what arrives while they are busy. */
export const betweenDatagramsMs = 50;

/** Far more than any check asks for, so that a flood does not fill our memory. */
const mostReplies = 200;

/** A UDP socket that collects the replies to it. */
export class Inbox {
  readonly replies: Uint8Array[] = [];
  readonly #context: CheckContext;
  #socket: DatagramSocket | undefined;
  #error: Error | undefined;
  #changed: () => void = () => {};

  private constructor(context: CheckContext) {
    this.#context = context;
  }

  /** `localPort` defaults to one chosen by the system. Throws `CONNECT_FAILED` if the port cannot be bound. */
  static async open(context: CheckContext, localPort?: number): Promise<Inbox> {
    const inbox = new Inbox(context);
    const handlers = {
      datagram: (bytes: Uint8Array): void => {
        if (inbox.replies.length >= mostReplies) return;
        inbox.replies.push(bytes);
        inbox.#changed();
      },
      failed: (error: Error): void => {
        inbox.#error = error;
        inbox.#changed();
      },
    };
    const { address, port, pathControls, sharedPorts } = context;
    const path = { ...pathControls, sourcePort: localPort };
    inbox.#socket = await DatagramSocket.open(address, port, handlers, path, sharedPorts);
    return inbox;
  }

  /** Runs `talk` with a new socket and closes it afterwards. */
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
   * Waits until `count` replies have arrived, or none for `quietMs`. The first reply gets the longer timeout. Throws
   * `CONNECT_FAILED` if the peer's machine reports a closed port.
   */
  async collect(count: number): Promise<readonly Uint8Array[]> {
    return this.#gather(count, Math.max(this.#context.timeoutMs, this.#context.quietMs));
  }

  /** Waits until `quietMs` have passed without a reply. Throws the errors of `collect`. */
  async quiet(): Promise<readonly Uint8Array[]> {
    return this.#gather(Infinity, this.#context.quietMs);
  }

  async #gather(count: number, firstMs: number): Promise<readonly Uint8Array[]> {
    for (;;) {
      const before = this.replies.length;
      const waitMs = before === 0 ? firstMs : this.#context.quietMs;
      if (before >= Math.min(count, mostReplies) || !(await this.#hasMoreThan(before, waitMs))) return this.replies;
    }
  }

  /** Whether more replies than this are there within this time. */
  async #hasMoreThan(count: number, timeoutMs: number): Promise<boolean> {
    return comesWithin(this.#context, timeoutMs, (resolve, reject) => {
      this.#changed = () => {
        if (this.#error !== undefined) reject(this.#error);
        else if (this.replies.length > count) resolve();
      };
      this.#changed();
      return () => {
        this.#changed = () => {};
      };
    });
  }
}

/** Sends a request, with a few retries, and resolves with the first datagram of the answer. Throws `NO_ANSWER`. */
export async function askFor(context: CheckContext, request: Uint8Array): Promise<Uint8Array> {
  const { address, port, timeoutMs, signal, clock, pathControls } = context;
  const options = { timeoutMs, signal, clock, pathControls, family: address.family };
  return (await ask({ host: address.address, port }, () => request, options)).bytes;
}
