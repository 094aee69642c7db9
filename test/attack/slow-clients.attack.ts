import { describe, it } from 'vitest';
import { stall } from './slow-clients.ts';

describe('clients that read nothing or one byte a second', () => {
  it.each([
    ['chargen', 'nothing'],
    ['chargen', 'one byte a second'],
    ['echo', 'one byte a second'],
    ['echo', 'nothing'],
    ['finger', 'nothing'],
    ['finger', 'one byte a second'],
  ] as const)('%s, %s', async (service, takes) => {
    await stall({ service, takes, clients: 100, stallTimeoutMs: 2000 });
  });
});
