import { describe, it } from 'vitest';
import { connectionsFromManySources, datagramsFromManySources } from './many-sources.ts';

describe('many different sources', () => {
  it('of a million datagrams', async () => {
    await datagramsFromManySources(1_000_000);
  });

  it('of twenty thousand connections', async () => {
    await connectionsFromManySources(20_000);
  });
});
