/**
 * A thread with nothing to do but to look at the time, as fixtures/probe.js does: what it waits, the machine made it
 * wait.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const look = `
  const { workerData: longestGapMs } = require('node:worker_threads');
  const periodMs = 1;
  let lastMs = performance.now();
  setInterval(() => {
    const nowMs = performance.now();
    longestGapMs[0] = Math.max(longestGapMs[0], nowMs - lastMs - periodMs);
    lastMs = nowMs;
  }, periodMs);
`;

export class IdleThread {
  readonly #longestGapMs = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  readonly #worker = new Worker(look, { eval: true, workerData: this.#longestGapMs });

  /** Resolves when it runs. */
  static async start(): Promise<IdleThread> {
    const thread = new IdleThread();
    await once(thread.#worker, 'online');
    return thread;
  }

  /** Ends it; resolves with the longest gap, in milliseconds, between two of its looks. */
  async stop(): Promise<number> {
    await this.#worker.terminate();
    return this.#longestGapMs[0] ?? Number.NaN;
  }
}
