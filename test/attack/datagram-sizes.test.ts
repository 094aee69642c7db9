import { expect, test } from 'vitest';
import { sendSizes } from './datagram-sizes.ts';
import { holds } from './figures.ts';

test('answers the smallest and largest datagrams without leaking memory', async () => {
  const { answered, grownBytes } = await sendSizes(40);
  expect(answered).toBe(100);
  holds(5, 'growth of heap and external memory', grownBytes, { atMost: 2 ** 20, unit: ' bytes' });
});
