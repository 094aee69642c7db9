import { it } from 'vitest';
import { echoGreedily } from './greedy-clients.ts';

it('answers a small request in time next to clients that echo at full speed and a flood', async () => {
  await echoGreedily();
});
