import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addServiceCounters, newServiceCounters, nonZero, type ServiceCounters } from '../../../src/server/counters.ts';

/** Every count in counters, by its path. */
function flatten(counts: object, path = ''): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counts).flatMap(([key, value]): (readonly [string, number])[] =>
      typeof value === 'number' ? [[path + key, value]] : Object.entries(flatten(value as object, `${path + key}.`)),
    ),
  );
}

/** Counters in which every count is different. */
function filled(start: number): ServiceCounters {
  let next = start;
  const fill = (counts: object): object =>
    Object.fromEntries(
      Object.entries(counts).map(([key, value]) => [key, typeof value === 'number' ? next++ : fill(value as object)]),
    );
  return fill(newServiceCounters()) as ServiceCounters;
}

describe('newServiceCounters', () => {
  it('starts at zero for every known reason', () => {
    const counters = newServiceCounters();
    expect(new Set(Object.values(flatten(counters)))).toEqual(new Set([0]));
    const closed =
      'completed client-reset client-lost idle stalled lifetime quota evicted shutdown service-error fault';
    expect(Object.keys(counters.stream.closed)).toEqual(closed.split(' '));
    expect(Object.keys(counters.stream.refused)).toEqual(['proxy-header', 'denied', 'limit', 'source-limit', 'rate']);
    expect(Object.keys(counters.stream.wouldRefuse)).toEqual(['limit', 'source-limit', 'rate']);
    expect(Object.keys(counters.datagram.wouldDrop)).toEqual(['rate']);
    const dropped =
      'overflow destination proxy-header source-port source-address denied rate loop ' +
      'amplification busy send-error service-error';
    expect(Object.keys(counters.datagram.dropped)).toEqual(dropped.split(' '));
  });

  it('shares no state between calls', () => {
    newServiceCounters().stream.closed.idle += 1;
    expect(newServiceCounters().stream.closed.idle).toBe(0);
  });
});

describe('addServiceCounters', () => {
  it('adds every count in place without changing the addend', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), (one, other) => {
        const [total, more] = [filled(one), filled(other)];
        const before = flatten(total);
        const added = flatten(more);
        addServiceCounters(total, more);
        expect(flatten(more)).toEqual(added);
        const sums = Object.entries(before).map(([path, count]) => [path, count + (added[path] ?? Number.NaN)]);
        expect(flatten(total)).toEqual(Object.fromEntries(sums));
      }),
    );
  });
});

describe('custom counters', () => {
  it('are added by name, with the first help text', () => {
    const total = newServiceCounters();
    const [first, last] = ['Old.', 'New.'].map((help) => ({
      ...newServiceCounters(),
      custom: { hits: { help, count: 2 } },
    }));
    for (const each of [first!, last!]) addServiceCounters(total, each);
    expect(total.custom).toEqual({ hits: { help: 'Old.', count: 4 } });
    expect(last?.custom).toEqual({ hits: { help: 'New.', count: 2 } });
    expect(newServiceCounters().custom).toEqual({});
  });

  it('are at most 32 for each service, whatever names its workers have used', () => {
    const total = newServiceCounters();
    for (let worker = 0; worker < 50; worker += 1) {
      const custom = { [`n${worker}`]: { help: 'N.', count: 1 }, n0: { help: 'N.', count: 1 } };
      addServiceCounters(total, { ...newServiceCounters(), custom });
    }
    expect(Object.keys(total.custom)).toHaveLength(32);
    expect(total.custom['n0']?.count).toBe(50);
  });
});

describe('nonZero', () => {
  it('keeps the nonzero counts', () => {
    expect(nonZero({ denied: 0, limit: 2, rate: 0 })).toEqual({ limit: 2 });
  });
});
