import { it } from 'vitest';
import { checkLargeConfigs, reloadBadConfigs, startWithBadConfigs } from './bad-config.ts';

it('reports the position of an error in a bad config at startup', async () => {
  await startWithBadConfigs();
});

it('keeps the running config when a bad config is reloaded under load', async () => {
  await reloadBadConfigs(6);
});

it('checks a large config in time, valid or not', async () => {
  await checkLargeConfigs();
});
