import { describe, it } from 'vitest';
import { connectionsFromManySources, datagramsFromManySources, datagramsNamingManyClients } from './many-sources.ts';
import { isNode } from './sockets.ts';

/** Node's sockets take longer. */
const counts = isNode
  ? { datagrams: 120_000, named: 20_000, connections: 5000 }
  : { datagrams: 1_000_000, named: 100_000, connections: 20_000 };

describe('traffic from many sources', () => {
  it(`is bounded for ${counts.datagrams} datagrams`, async () => {
    await datagramsFromManySources(counts.datagrams);
  });

  it(`is bounded for ${counts.named} clients that a forged proxy names`, async () => {
    await datagramsNamingManyClients(counts.named);
  });

  it(`is bounded for ${counts.connections} connections`, async () => {
    await connectionsFromManySources(counts.connections);
  });
});
