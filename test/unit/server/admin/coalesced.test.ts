import { once } from 'node:events';
import { expect, it } from 'vitest';
import { coalesced } from '../../../../src/server/admin/coalesced.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

it('who asks while an answer is made shares it, and who asks after it gets a new one', async () => {
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

it('who asks after an error gets a new answer', async () => {
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

it('an answer is shared until it is as old as it may be, and while it is under way', async () => {
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
