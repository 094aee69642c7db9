import { it } from 'vitest';
import { floodPastDescriptors, floodPastLimits } from './connection-flood.ts';

it.each([0, 2] as const)('refuses connections beyond every limit, workers: %i', async (workers) => {
  await floodPastLimits({ workers, attempts: 200 });
});

it('refuses connections beyond the descriptor limit', async () => {
  await floodPastDescriptors({ workers: 0, attempts: 500 });
});
