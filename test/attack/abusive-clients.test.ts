import { it } from 'vitest';
import { goAtEveryStep } from './abusive-clients.ts';

it('leaks nothing after clients reset and half-close at every step', async () => {
  await goAtEveryStep(300);
});
