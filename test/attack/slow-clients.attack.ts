import { describe, it } from 'vitest';
import { stall } from './slow-clients.ts';
import { isNode } from './sockets.ts';

const variants = [
  ['chargen', 'nothing'],
  ['echo', 'nothing'],
  ['echo', 'one byte a second'],
  ['finger', 'nothing'],
  ['chargen', 'one byte a second'],
  ['finger', 'one byte a second'],
] as const;

describe('clients that read nothing or one byte a second', () => {
  it.each(isNode ? variants.slice(0, 4) : variants)('%s, %s', async (service, takes) => {
    await stall({ service, takes, clients: 100, stallTimeoutMs: 2000 });
  });
});
