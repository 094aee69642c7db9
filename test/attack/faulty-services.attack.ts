import { describe, it } from 'vitest';
import { needs } from '../system/machine.ts';
import { amplifyByFaults, floodOfConnections, floodOfDatagrams } from './faulty-services.ts';
import { isNode } from './sockets.ts';

needs('ip');

describe('a service with faults under a flood of datagrams', () => {
  const floods = [
    ['ten copies, each delayed', { answers: { count: 10 }, delay: { time: '5s' } }],
    ['delay and jitter', { delay: { time: '5s', jitter: '1s' } }],
  ] as const;
  it.each(isNode ? floods.slice(0, 1) : floods)('%s', async (name, faults) => {
    await floodOfDatagrams({ name, faults, rate: 50_000, seconds: 3 });
  });

  const copies = [
    ['ten copies and duplicates, each delayed', { answers: { count: 10 }, duplicate: 1, delay: { time: '50ms' } }],
    ['ten copies', { answers: { count: 10 } }],
    ['duplicates', { duplicate: 1 }],
  ] as const;
  it.each(isNode ? copies.slice(0, 2) : copies)('amplifies no more than allowed: %s', async (name, faults) => {
    await amplifyByFaults(name, faults);
  });
});

describe('a service with faults under a flood of connections', () => {
  it.each([
    ['delay', { delay: { time: '1h' } }],
    ['blackhole', { blackhole: 1 }],
    ['stopReading', { stopReading: 1 }],
  ] as const)('%s', async (name, faults) => {
    await floodOfConnections({ name, faults, clients: 900 });
  });
});
