/** Well-behaved clients of echo: each keeps its connection, and asks again once it is answered. */
import { TcpClient } from '../support/tcp.ts';

/** Between an answer and the next question, in milliseconds: they are customers, no load. */
const pauseMs = 5;

export class Regulars {
  asked = 0;
  answered = 0;
  #stopped = false;
  readonly #clients: readonly TcpClient[];
  readonly #running: Promise<unknown>;

  private constructor(clients: readonly TcpClient[]) {
    this.#clients = clients;
    this.#running = Promise.all(clients.map(async (client) => this.#run(client)));
  }

  /** All of them have been answered once when it resolves. */
  static async connect(target: { readonly host: string; readonly port: number }, count: number): Promise<Regulars> {
    const clients = await Promise.all(Array.from({ length: count }, async () => TcpClient.connect(target)));
    for (const client of clients) client.write('here');
    await Promise.all(clients.map(async (client) => client.take(4)));
    return new Regulars(clients);
  }

  /** Of all questions, those that were answered; in percent. */
  get answeredPercent(): number {
    return (this.answered / this.asked) * 100;
  }

  /** Resolves when the last questions are answered or lost, and their connections gone. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    for (const client of this.#clients) client.socket.destroy();
  }

  async #run(client: TcpClient): Promise<void> {
    while (!this.#stopped) {
      const question = `question ${this.asked}`;
      this.asked += 1;
      const before = client.length;
      client.write(question);
      try {
        const bytes = await client.take(before + question.length);
        if (bytes.subarray(before).toString() === question) this.answered += 1;
      } catch {
        // Cut, or kept waiting too long: its connection is of no use any more.
        return;
      }
      await new Promise<void>((resolve) => {
        setTimeout(resolve, pauseMs);
      });
    }
  }
}
