import { it } from 'vitest';
import { injectIntoJson } from './log-injection.ts';

it('client data cannot inject lines into the JSON log', async () => {
  await injectIntoJson();
});
