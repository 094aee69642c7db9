import { it } from 'vitest';
import { reloadBadConfigs, startWithBadConfigs } from './bad-config.ts';

it('reports the position of an error in a bad config at startup', async () => {
  await startWithBadConfigs(2);
});

it('keeps the running config when a bad config is reloaded under load', async () => {
  await reloadBadConfigs(2);
});
