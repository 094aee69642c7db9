import { it } from 'vitest';
import { needs } from '../system/machine.ts';
import { injectIntoJson, injectIntoTerminal } from './log-injection.ts';

needs('script');

it('what clients send rules no reader of the log as JSON', async () => {
  await injectIntoJson();
});

it('what clients send rules no terminal', async () => {
  await injectIntoTerminal();
});
