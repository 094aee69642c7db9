import { it } from 'vitest';
import { holdAdminEndpoint } from './admin-flood.ts';

it('the admin endpoint answers a probe, whoever holds its connections', async () => {
  await holdAdminEndpoint();
});
