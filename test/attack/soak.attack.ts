import { expect, test } from 'vitest';
import { holds } from './figures.ts';
import { soak, soakLeak } from './soak.ts';
import { judgeSoak, textOf } from './soak-judgement.ts';

/** Less than the smallest object, 16 bytes. Without a leak the compiler and the collector make it up to 7. */
const mostBytesPerRequest = 12;

/** Some 40 s on a machine that has nothing else to do. */
const patienceMs = 300_000;

test(
  'leaks nothing over 20,000 requests of each kind',
  async () => {
    const soaked = await soak(20_000);
    console.log(textOf(soaked));
    judgeSoak(soaked, mostBytesPerRequest);
  },
  patienceMs,
);

test('detects a service that leaks memory on each request', async () => {
  const { heldBytesPerRequest, answered } = await soakLeak(20_000);
  expect(answered).toBe(20_000);
  holds(17, 'for comparison, a service that keeps 32 bytes of each request: median slope', heldBytesPerRequest, {
    atLeast: mostBytesPerRequest,
    unit: ' bytes',
    digits: 2,
  });
});
