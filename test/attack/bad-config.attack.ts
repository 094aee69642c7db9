import { it } from 'vitest';
import { checkLargeConfigs, reloadBadConfigs, startWithBadConfigs } from './bad-config.ts';

it('a bad config at the start is told with its place', async () => {
  await startWithBadConfigs();
});

it('a bad config at a reload under load changes nothing', async () => {
  await reloadBadConfigs(6);
});

it('a large config is checked in time, right or wrong', async () => {
  await checkLargeConfigs();
});
