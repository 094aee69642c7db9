import { it } from 'vitest';
import { injectIntoJson } from './log-injection.ts';

it('what clients send rules no reader of the log', async () => {
  await injectIntoJson();
});
