import { describe, it } from 'vitest';
import { needs } from '../system/machine.ts';
import { floodFromAbsentNeighbors, floodFromOneSource } from './flood.ts';
import { isNode } from './sockets.ts';

needs('ip');

/** Packets a second: Node's sockets read fewer. */
const rate = isNode ? 20_000 : 50_000;
const seconds = isNode ? 2 : 3;

const variants = [
  ['echo', 0],
  ['echo', 2],
  ['daytime', 2],
] as const;

describe(`a flood of ${rate} packets a second from one source`, () => {
  it.each(isNode ? variants.slice(0, 2) : variants)('to %s with %i workers', async (service, workers) => {
    await floodFromOneSource({ service, workers, rate, seconds });
  });

  it('with wrong checksums', async () => {
    await floodFromOneSource({ service: 'echo', workers: 2, rate, seconds, checksums: 'wrong' });
  });
});

it('a flood from hosts of the same link that do not exist', async () => {
  await floodFromAbsentNeighbors(1000, 3);
});
