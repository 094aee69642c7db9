import { it } from 'vitest';
import { floodPastDescriptors, floodPastLimits } from './connection-flood.ts';

it.each([0, 2] as const)('a flood of connections past every limit is refused, workers: %i', async (workers) => {
  await floodPastLimits({ workers, attempts: 200 });
});

it('a flood of connections past the descriptor limit is refused', async () => {
  await floodPastDescriptors({ workers: 0, attempts: 500 });
});
