import { it } from 'vitest';
import { stall } from './slow-clients.ts';

it('clients that take nothing are cut, and cost little until then', async () => {
  await stall({ service: 'echo', takes: 'nothing', clients: 20, stallTimeoutMs: 2000 });
});
