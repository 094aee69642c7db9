import { it } from 'vitest';
import { killUnderLoad } from './worker-kill.ts';

it('kill -9 of a worker under load refuses nobody', async () => {
  await killUnderLoad(3);
});
