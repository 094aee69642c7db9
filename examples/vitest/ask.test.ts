import { describe, expect } from 'vitest';
import { ask } from './ask.ts';
import { test } from './daemon.ts';

test('gets its answer', async ({ daemon, port }) => {
  expect(await ask(port, 'hello')).toBe('hello');
  expect(daemon.counters('echo').stream.accepted).toBe(1);
});

test('tries again until the server recovers', async ({ daemon, port }) => {
  // The same seed resets the same connections in every run.
  daemon.faults('echo', { seed: 2, resetOnAccept: 0.5 });
  expect(await ask(port, 'hello')).toBe('hello');
  expect(daemon.counters('echo').stream.faults.resetOnAccept).toBe(2);
});

test('takes half an answer for none', async ({ daemon, port }) => {
  daemon.faults('echo', { closeAfter: { size: 3 } });
  await expect(ask(port, 'hello')).rejects.toThrow('wrong answer: hel');
  await expect.poll(() => daemon.counters('echo').stream.closed.fault).toBe(5);
  daemon.faults('echo', undefined);
  expect(await ask(port, 'hello')).toBe('hello');
});

describe('with a server that resets every connection', () => {
  test.override({ faults: { resetOnAccept: 1 } });

  test('gives up after five attempts', async ({ daemon, port }) => {
    await expect(ask(port, 'hello')).rejects.toThrow('ECONNRESET');
    expect(daemon.status().services['echo']?.stream.faults.resetOnAccept).toBe(5);
  });
});

describe('with a server that never answers', () => {
  test.override({ faults: { blackhole: 1 } });

  test('does not wait for ever', async ({ port }) => {
    await expect(ask(port, 'hello', { attempts: 2, timeoutMs: 50 })).rejects.toThrow('no answer');
  });
});
