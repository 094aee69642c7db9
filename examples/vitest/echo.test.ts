import { type EchoPingOptions, type EchoPingResult, echoPing, echoPingSamples } from 'smallservd/client';
import { expect } from 'vitest';
import { test as base } from './daemon.ts';

interface Fixtures {
  /** Measures the echo service of the test over TCP. What still runs at the end of the test is stopped. */
  readonly measure: (options: EchoPingOptions) => Promise<EchoPingResult>;
}

const test = base.extend<Fixtures>({
  measure: async ({ port }, use) => {
    const abort = new AbortController();
    await use(async (options) => echoPing(`127.0.0.1:${port}`, { ...options, signal: abort.signal }));
    abort.abort();
  },
});

test('every request comes back unchanged', async ({ measure }) => {
  const { outcome, received, corrupted } = await measure({ count: 20, intervalMs: 1, sizeBytes: 1400 });
  expect({ outcome, received, corrupted }).toEqual({ outcome: 'ok', received: 20, corrupted: 0 });
});

test('a server that changes bytes is found out', async ({ daemon, measure }) => {
  daemon.faults('echo', { corrupt: 1 });
  expect(await measure({ count: 3, intervalMs: 1, timeoutMs: 100 })).toMatchObject({ outcome: 'wrong-answer' });
});

test('answers can be counted until there are enough', async ({ port }) => {
  let answers = 0;
  for await (const { kind } of echoPingSamples(`127.0.0.1:${port}`, { intervalMs: 1 })) {
    if (kind === 'answered') answers += 1;
    if (answers === 5) break;
  }
  expect(answers).toBe(5);
});
