import { describe, it } from 'vitest';
import { needs } from '../system/machine.ts';
import { crowdFromOneNetwork } from './crowded-network.ts';
import { isNode } from './sockets.ts';

needs('ip');

const variants = [
  [0, '25%'],
  [2, '100%'],
  [2, '25%'],
  [0, '100%'],
] as const;

describe('ten /64 networks of one /56 take every connection they can get', () => {
  it.each(isNode ? variants.slice(0, 2) : variants)(
    'with %i workers and networkShare %s',
    async (workers, networkShare) => {
      await crowdFromOneNetwork({ workers, networkShare });
    },
  );
});
