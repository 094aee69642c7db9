/** A well-behaved client of a service over UDP: it asks fifty times a second, and waits for nobody. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';

const periodMs = 20;
/** How long the last answers may take. */
const patienceMs = 2000;

export class DatagramRegular {
  asked = 0;
  answered = 0;
  longestSilenceMs = 0;
  readonly #timer: NodeJS.Timeout;
  #lastMs = performance.now();

  private constructor(socket: Socket) {
    socket.on('message', () => {
      this.answered += 1;
      this.#listen();
    });
    // Nobody may have the port for a moment.
    socket.on('error', () => {});
    this.#timer = setInterval(() => {
      this.asked += 1;
      socket.send(`question ${this.asked}`);
    }, periodMs);
    onTestFinished(() => {
      clearInterval(this.#timer);
      socket.close();
    });
  }

  static async of({ host, port }: { readonly host: string; readonly port: number }): Promise<DatagramRegular> {
    const socket = createSocket('udp4');
    socket.connect(port, host);
    await once(socket, 'connect');
    return new DatagramRegular(socket);
  }

  /** Resolves when the last question is answered, or has had its time. */
  async stop(): Promise<void> {
    this.#listen();
    clearInterval(this.#timer);
    const endMs = performance.now() + patienceMs;
    while (this.answered < this.asked && performance.now() < endMs)
      await new Promise<void>((resolve) => {
        setTimeout(resolve, periodMs);
      });
  }

  #listen(): void {
    const nowMs = performance.now();
    this.longestSilenceMs = Math.max(this.longestSilenceMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }
}
