import { expect, it } from 'vitest';
import { findService, services } from '../../../src/services/index.ts';
import { FakeContext } from '../../support/fake-context.ts';

it('lists the built-in services in order, with RFC and IANA port', () => {
  expect(services.map(({ name, rfc, port }) => [name, rfc, port])).toEqual([
    ['echo', 862, 7],
    ['discard', 863, 9],
    ['chargen', 864, 19],
    ['qotd', 865, 17],
    ['systat', 866, 11],
    ['daytime', 867, 13],
    ['time', 868, 37],
    ['stamp', 8762, 862],
    ['tcpmux', 1078, 1],
    ['finger', 1288, 79],
    ['ident', 1413, 113],
    ['envelope', undefined, undefined],
  ]);
});

it('names a UDP hazard for the abusable services', () => {
  expect(services.filter(({ udpHazard }) => udpHazard !== undefined).map(({ name }) => name)).toEqual([
    'chargen',
    'qotd',
    'systat',
    'envelope',
  ]);
});

it.each(services.map((service) => [service.name, service] as const))(
  'finds %s by name and creates it from its defaults for TCP, and UDP if its RFC has it',
  async (name, service) => {
    expect(findService(name)).toBe(service);
    const defaults = Object.fromEntries(Object.entries(service.options).map(([key, spec]) => [key, spec.default]));
    const created = await service.create(defaults, new FakeContext());
    const isTcpOnly = ['tcpmux', 'finger', 'ident'].includes(name);
    const datagram = isTcpOnly ? {} : { datagram: expect.any(Function) };
    expect(created).toMatchObject({ stream: expect.any(Function), ...datagram });
    expect('datagram' in created).toBe(!isTcpOnly);
  },
);

it('finds no other name', () => {
  expect(findService('telnet')).toBeUndefined();
  expect(findService('constructor')).toBeUndefined();
});
