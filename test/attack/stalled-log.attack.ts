import { it } from 'vitest';
import { stallTheLogReader } from './stalled-log.ts';

it('a log reader that stops reading costs the clients nothing', async () => {
  await stallTheLogReader({ clients: 3000 });
});
