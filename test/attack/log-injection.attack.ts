import { it } from 'vitest';
import { needs } from '../system/machine.ts';
import { injectIntoJson, injectIntoTerminal } from './log-injection.ts';

needs('script');

it('client data cannot inject lines into the JSON log', async () => {
  await injectIntoJson();
});

it('client data cannot control a terminal', async () => {
  await injectIntoTerminal();
});
