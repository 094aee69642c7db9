import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RequestRun } from '../../../../src/client/requests/run.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

/** Round trips of the first request, in milliseconds, and how long the run then waits for the second one. */
test.each([
  { answersMs: [300], waitsMs: 600, name: 'twice the longest round trip' },
  { answersMs: [900], waitsMs: 1000, name: 'at most the timeout' },
  { answersMs: [100, 400], waitsMs: 200, name: 'not for a duplicate that came late' },
  { answersMs: [4500], waitsMs: 0, name: 'not for an answer that was late' },
])('after an interruption, it waits for the last answer: $name', async ({ answersMs, waitsMs }) => {
  const clock = new FakeClock();
  const abort = new AbortController();
  const settings = { count: 0, intervalMs: 5000, timeoutMs: 1000, flows: 1, clock, signal: abort.signal };
  const run = new RequestRun(settings);
  const over = run.start({ make: () => Buffer.alloc(1), send: async () => {} });
  await setImmediate();
  for (const atMs of answersMs) {
    clock.advance(atMs - clock.nowMs);
    run.heard();
    run.received(0, clock.nowMs);
  }
  clock.advance(5000 - clock.nowMs);
  expect(run.sent).toBe(2);
  abort.abort();
  clock.advance(10_000);
  await over;
  expect(run.elapsedMs).toBe(5000 + waitsMs);
});
