import { it } from 'vitest';
import { holdAdminEndpoint } from './admin-flood.ts';

it('the admin endpoint answers probes while other clients hold its connections', async () => {
  await holdAdminEndpoint();
});
