import { describe, it } from 'vitest';
import { needs } from '../system/machine.ts';
import { floodFromOneSource } from './flood.ts';

needs('ip');

describe('a flood of 50,000 packets a second from one source', () => {
  it.each([
    ['echo', 0],
    ['echo', 2],
    ['daytime', 2],
  ] as const)('to %s with %i workers', async (service, workers) => {
    await floodFromOneSource({ service, workers, rate: 50_000, seconds: 3 });
  });

  it('with wrong checksums', async () => {
    await floodFromOneSource({ service: 'echo', workers: 2, rate: 50_000, seconds: 3, checksums: 'wrong' });
  });
});
