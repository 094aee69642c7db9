import { expect, test } from 'vitest';
import { sendSizes } from './datagram-sizes.ts';
import { holds } from './figures.ts';

test('the smallest and the largest datagrams are answered, and leave nothing behind', async () => {
  const { answered, grownBytes } = await sendSizes(40);
  expect(answered).toBe(100);
  holds(5, 'growth of heap and external memory', grownBytes, { atMost: 2 ** 20, unit: ' bytes' });
});
