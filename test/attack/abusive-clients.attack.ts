import { it } from 'vitest';
import { needs } from '../system/machine.ts';
import { vanishAtEveryStep } from './abusive-clients.ts';

needs('ip');

it('survives 10,000 clients that reset, half-close and vanish at every step', async () => {
  await vanishAtEveryStep(10_000, 8);
});
