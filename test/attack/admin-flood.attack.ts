import { it } from 'vitest';
import { holdAdminEndpoint, holdLargeAdminEndpoint } from './admin-flood.ts';

it('the admin endpoint answers probes while other clients hold its connections', async () => {
  await holdAdminEndpoint();
});

it('the admin endpoint answers probes while other clients ask for long pages', async () => {
  await holdLargeAdminEndpoint();
});
