import { it } from 'vitest';
import { stall } from './slow-clients.ts';

it('clients that read nothing are disconnected and cost little until then', async () => {
  // Long enough for one look at them, whatever else the machine does.
  await stall({ service: 'echo', takes: 'nothing', clients: 20, stallTimeoutMs: 6000 });
});
