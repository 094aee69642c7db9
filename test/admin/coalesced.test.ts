import { expect, it } from 'vitest';
import { coalesced } from '../../src/admin/coalesced.ts';
import { FakeClock } from '../support/fake-clock.ts';

it('who asks while an answer is made shares it, and who asks after it gets a new one', async () => {
  let made = 0;
  const ask = coalesced(async () => {
    await Promise.resolve();
    return (made += 1);
  });
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  expect(await ask()).toBe(2);
});

it('who asks after an error gets a new answer', async () => {
  let made = 0;
  const ask = coalesced(async () => {
    made += 1;
    if (made === 1) throw new Error('not yet');
    return made;
  });
  await expect(ask()).rejects.toThrow('not yet');
  expect(await ask()).toBe(2);
});

it('answers begin apart, however many ask, and are as new as that allows', async () => {
  const clock = new FakeClock();
  let made = 0;
  const ask = coalesced(async () => (made += 1), 20, clock);
  expect(await ask()).toBe(1);
  const early = [ask(), ask()];
  clock.advance(19);
  early.push(ask());
  await Promise.resolve();
  expect(made).toBe(1);
  clock.advance(1);
  expect(await Promise.all(early)).toEqual([2, 2, 2]);
  clock.advance(20);
  expect(await ask()).toBe(3);
});
