import { it } from 'vitest';
import { stallTheLogReader } from './stalled-log.ts';

it('a stalled log reader does not affect clients', async () => {
  await stallTheLogReader({ clients: 400 });
});
