import { once } from 'node:events';
import { expect, it } from 'vitest';
import { coalesced } from '../../../../src/server/admin/coalesced.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

it('shares an answer in progress and makes a new answer afterwards', async () => {
  let made = 0;
  const ask = coalesced(
    async () => {
      await Promise.resolve();
      return (made += 1);
    },
    0,
    new FakeClock(),
  );
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  expect(await ask()).toBe(2);
});

it('makes a new answer after an error', async () => {
  let made = 0;
  const ask = coalesced(
    async () => {
      made += 1;
      if (made === 1) throw new Error('not yet');
      return made;
    },
    1000,
    new FakeClock(),
  );
  await expect(ask()).rejects.toThrow('not yet');
  expect(await ask()).toBe(2);
});

it('shares an answer while in progress and up to its maximum age', async () => {
  const clock = new FakeClock();
  const finished = new AbortController();
  let made = 0;
  const ask = coalesced(
    async () => {
      const nth = (made += 1);
      if (nth === 3) await once(finished.signal, 'abort');
      return nth;
    },
    20,
    clock,
  );
  expect(await ask()).toBe(1);
  clock.advance(19);
  expect(await ask()).toBe(1);
  clock.advance(1);
  expect(await ask()).toBe(2);
  clock.advance(20);
  const slow = [ask(), ask()];
  clock.advance(1000);
  slow.push(ask());
  finished.abort();
  expect(await Promise.all(slow)).toEqual([3, 3, 3]);
  expect(await ask()).toBe(4);
});

it.each([
  [5, 50],
  [50, 500],
  [400, 1000],
])('reuses an answer that took %d ms until %d ms after its start', async (tookMs, reusedMs) => {
  const clock = new FakeClock();
  let made = 0;
  const ask = coalesced(
    async () => {
      clock.advance(tookMs);
      return (made += 1);
    },
    20,
    clock,
  );
  await ask();
  clock.advance(reusedMs - tookMs - 1);
  expect(await ask()).toBe(1);
  clock.advance(1);
  expect(await ask()).toBe(2);
});
