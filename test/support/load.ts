import { onTestFinished } from 'vitest';
import { TcpClient } from './tcp.ts';

/**
 * Clients that connect, ask and go, a few at a time and one after the other, until they are stopped, or the test is
 * over.
 */
export class Load {
  answered = 0;
  refused = 0;
  /** Let in, and cut or answered wrong. */
  failed = 0;
  #stopped = false;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #running: Promise<unknown>;

  constructor(target: { readonly host: string; readonly port: number }, atOnce = 8) {
    this.#target = target;
    // A test that has failed does not stop it.
    onTestFinished(() => {
      this.#stopped = true;
    });
    this.#running = Promise.all(Array.from({ length: atOnce }, () => this.#run()));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const client = await TcpClient.connect(this.#target);
        client.finish('load');
        if ((await client.takeAll()).toString() === 'load') this.answered += 1;
        else this.failed += 1;
      } catch (error) {
        // A client that a killed worker was serving may be cut; a new one may never be refused.
        if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') this.refused += 1;
        else this.failed += 1;
      }
    }
  }
}
