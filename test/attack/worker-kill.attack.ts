import { it } from 'vitest';
import { killUnderLoad } from './worker-kill.ts';

it('refuses no client when a worker gets SIGKILL under load', async () => {
  await killUnderLoad(3);
});
