import { describe, it } from 'vitest';
import { needs } from '../system/machine.ts';
import { crowdFromOneNetwork } from './crowded-network.ts';

needs('ip');

describe('ten /64 of one /56 take every place they can get', () => {
  it.each([
    [0, '25%'],
    [2, '25%'],
    [0, '100%'],
    [2, '100%'],
  ] as const)('workers: %i, share of their network: %s', async (workers, networkShare) => {
    await crowdFromOneNetwork({ workers, networkShare });
  });
});
