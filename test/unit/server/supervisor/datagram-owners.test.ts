import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dealOut, reassign } from '../../../../src/server/supervisor/datagram-owners.ts';

describe('dealOut', () => {
  it.each([
    [['a', 'b', 'c', 'd', 'e'], 2, [0, 1, 0, 1, 0]],
    [['a', 'b'], 4, [0, 1]],
    [['a', 'b', 'c'], 1, [0, 0, 0]],
    [[], 3, []],
  ])('assigns %j to %i slots round robin', (services, slots, owners) => {
    const expected = services.map((service, index) => [service, owners[index]]);
    expect([...dealOut(services, slots)]).toEqual(expected);
  });
});

describe('reassign', () => {
  const owners = new Map([
    ['a', 0],
    ['b', 1],
    ['c', 0],
    ['d', 1],
  ]);

  it.each<[string, number[], number[], [string, number][]]>([
    ['changes nothing if no slot died', [0, 1], [0, 1], [...owners]],
    [
      'moves all services of a dead slot to the other',
      [1],
      [1],
      [
        ['a', 1],
        ['b', 1],
        ['c', 1],
        ['d', 1],
      ],
    ],
    [
      'distributes evenly, to the least loaded slot first',
      [1, 2, 3],
      [1, 2, 3],
      [
        ['a', 2],
        ['b', 1],
        ['c', 3],
        ['d', 1],
      ],
    ],
    [
      'assigns only to ready slots',
      [1, 2, 3],
      [3],
      [
        ['a', 3],
        ['b', 1],
        ['c', 3],
        ['d', 1],
      ],
    ],
    ['keeps the services of a starting slot', [0, 1], [1], [...owners]],
    ['changes nothing while no slot is ready', [2], [], [...owners]],
  ])('%s', (_rule, alive, ready, expected) => {
    const before = new Map(owners);
    expect([...reassign(owners, new Set(alive), ready)]).toEqual(expected);
    expect(owners).toEqual(before);
  });

  it('keeps every service, moves none with a live owner and picks live owners if a slot is ready', () => {
    const slots = fc.uniqueArray(fc.nat(5));
    fc.assert(
      fc.property(fc.nat(12), slots, slots, (count, aliveSlots, more) => {
        const services = Array.from({ length: count }, (_, index) => `service${index}`);
        const dealt = dealOut(services, 6);
        const alive = new Set([...aliveSlots, ...more]);
        const next = reassign(dealt, alive, more);
        expect([...next.keys()]).toEqual(services);
        for (const [service, slot] of next) {
          const before = dealt.get(service) ?? -1;
          if (alive.has(before)) expect(slot).toBe(before);
          if (more.length > 0) expect(alive).toContain(slot);
        }
      }),
    );
  });
});
