import { it } from 'vitest';
import { goAtEveryStep } from './abusive-clients.ts';

it('clients that reset and half-close at every step leave nothing behind', async () => {
  await goAtEveryStep(300);
});
