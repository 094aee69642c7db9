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

it('says which services answer over one transport only', () => {
  expect(services.flatMap(({ name, transport }) => (transport === undefined ? [] : [[name, transport]]))).toEqual([
    ['stamp', 'udp'],
    ['tcpmux', 'tcp'],
    ['finger', 'tcp'],
    ['ident', 'tcp'],
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
  'finds %s by name and creates it from its defaults for the transports that it answers',
  async (name, service) => {
    expect(findService(name)).toBe(service);
    const defaults = Object.fromEntries(Object.entries(service.options).map(([key, spec]) => [key, spec.default]));
    const created = await service.create(defaults, new FakeContext());
    expect(typeof created.stream).toBe(service.transport === 'udp' ? 'undefined' : 'function');
    expect(typeof created.datagram).toBe(service.transport === 'tcp' ? 'undefined' : 'function');
  },
);

it('finds no other name', () => {
  expect(findService('telnet')).toBeUndefined();
  expect(findService('constructor')).toBeUndefined();
});
