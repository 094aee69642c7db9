import { it } from 'vitest';
import { reloadBadConfigs, startWithBadConfigs } from './bad-config.ts';

it('a bad config at the start is told with its place', async () => {
  await startWithBadConfigs();
});

it('a bad config at a reload under load changes nothing', async () => {
  await reloadBadConfigs(6);
});
