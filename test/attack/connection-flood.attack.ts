import { it } from 'vitest';
import { floodPastDescriptors, floodPastLimits } from './connection-flood.ts';

it.each([0, 2] as const)('survives a flood of connections beyond every limit, workers: %i', async (workers) => {
  await floodPastLimits({ workers, attempts: 3000 });
});

it.each([0, 2] as const)(
  'survives a flood of connections beyond the descriptor limit, workers: %i',
  async (workers) => {
    await floodPastDescriptors({ workers, attempts: 5000 });
  },
);
