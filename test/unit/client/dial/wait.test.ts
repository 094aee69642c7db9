import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { throwIfInterrupted, untilInterrupted, waitFor } from '../../../../src/client/dial/wait.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

function setUp() {
  const clock = new FakeClock();
  const abort = new AbortController();
  const ended: string[] = [];
  return {
    clock,
    abort,
    ended,
    patience: { timeoutMs: 1500, clock, signal: abort.signal },
    late: (waited: string) => new Error(`late after ${waited}`),
    /** What `waitFor` must leave behind, however the wait ended: nothing. */
    leftovers: () => ({ timers: clock.waiting, listeners: getEventListeners(abort.signal, 'abort').length, ended }),
  };
}

const nothing = { timers: 0, listeners: 0, ended: ['once'] };

describe('waitFor', () => {
  test('returns the value it waited for', async () => {
    const { patience, late, ended, leftovers } = setUp();
    const value = await waitFor<number>(patience, late, (resolve) => {
      queueMicrotask(() => resolve(7));
      return () => ended.push('once');
    });
    expect(value).toBe(7);
    expect(leftovers()).toEqual(nothing);
  });

  test('gives up after the timeout and not before', async () => {
    const { patience, late, ended, clock, leftovers } = setUp();
    let isOver = false;
    const waited = waitFor<void>(patience, late, () => () => ended.push('once')).finally(() => {
      isOver = true;
    });
    clock.advance(1499);
    await Promise.resolve();
    expect(isOver).toBe(false);
    clock.advance(1);
    await expect(waited).rejects.toThrow('late after 1500ms');
    expect(leftovers()).toEqual(nothing);
  });

  test('rejects with INTERRUPTED when the signal aborts', async () => {
    const { patience, late, ended, abort, leftovers } = setUp();
    const waited = waitFor<void>(patience, late, () => () => ended.push('once'));
    abort.abort();
    await expect(waited).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(leftovers()).toEqual(nothing);
  });

  test('does not start if the signal is already aborted', async () => {
    const { patience, late, abort, ended } = setUp();
    abort.abort();
    const waited = waitFor<void>(patience, late, () => {
      ended.push('begun');
      return () => {};
    });
    await expect(waited).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(ended).toEqual([]);
  });

  test('passes on an error', async () => {
    const { patience, late, ended, leftovers } = setUp();
    const waited = waitFor<void>(patience, late, (_resolve, reject) => {
      reject(new Error('refused'));
      return () => ended.push('once');
    });
    await expect(waited).rejects.toThrow('refused');
    expect(leftovers()).toEqual(nothing);
  });

  test('leaves no timer or listener if the start throws', async () => {
    const { patience, late, leftovers } = setUp();
    const waited = waitFor<void>(patience, late, () => {
      throw new Error('no socket');
    });
    await expect(waited).rejects.toThrow('no socket');
    expect(leftovers()).toEqual({ ...nothing, ended: [] });
  });
});

test('throwIfInterrupted throws only after an abort', () => {
  const abort = new AbortController();
  throwIfInterrupted(undefined);
  throwIfInterrupted(abort.signal);
  abort.abort();
  expect(() => throwIfInterrupted(abort.signal)).toThrow(expect.objectContaining({ code: 'INTERRUPTED' }));
});

describe('untilInterrupted', () => {
  test('settles with the promise and leaves no listener', async () => {
    const { signal } = new AbortController();
    expect(await untilInterrupted(Promise.resolve(7), signal)).toBe(7);
    await expect(untilInterrupted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('rejects if the signal aborts or is already aborted, whatever the promise does', async () => {
    const abort = new AbortController();
    const waited = untilInterrupted(new Promise(() => {}), abort.signal);
    abort.abort();
    await expect(waited).rejects.toMatchObject({ code: 'INTERRUPTED' });
    // A rejection that nobody has heard would fail the run.
    const failing = Promise.reject(new Error('no'));
    await expect(untilInterrupted(failing, abort.signal)).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});
