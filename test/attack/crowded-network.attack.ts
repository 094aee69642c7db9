import { describe, it } from 'vitest';
import { needs } from '../system/machine.ts';
import { crowdFromOneNetwork } from './crowded-network.ts';

needs('ip');

describe('ten /64 networks of one /56 take every connection they can get', () => {
  it.each([
    [0, '25%'],
    [2, '25%'],
    [0, '100%'],
    [2, '100%'],
  ] as const)('with %i workers and networkShare %s', async (workers, networkShare) => {
    await crowdFromOneNetwork({ workers, networkShare });
  });
});
