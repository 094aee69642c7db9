import { describe, it } from 'vitest';
import { connectionsFromManySources, datagramsFromManySources, datagramsNamingManyClients } from './many-sources.ts';

describe('traffic from many sources', () => {
  it('is bounded for a million datagrams', async () => {
    await datagramsFromManySources(1_000_000);
  });

  it('is bounded for 100,000 clients that a forged proxy names', async () => {
    await datagramsNamingManyClients(100_000);
  });

  it('is bounded for 20,000 connections', async () => {
    await connectionsFromManySources(20_000);
  });
});
