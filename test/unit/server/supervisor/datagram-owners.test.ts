import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dealOut, reassign } from '../../../../src/server/supervisor/datagram-owners.ts';

describe('dealOut', () => {
  it.each([
    [[1, 2, 3, 4, 5], 2, [0, 1, 0, 1, 0]],
    [[1, 2], 4, [0, 1]],
    [[1, 2, 3], 1, [0, 0, 0]],
    [[], 3, []],
  ])('assigns %j to %i slots round robin', (sockets, slots, owners) => {
    const expected = sockets.map((socket, index) => [socket, owners[index]]);
    expect([...dealOut(sockets, slots)]).toEqual(expected);
  });
});

describe('reassign', () => {
  const owners = new Map([
    [1, 0],
    [2, 1],
    [3, 0],
    [4, 1],
  ]);

  it.each<[string, number[], number[], [number, number][]]>([
    ['changes nothing if no slot died', [0, 1], [0, 1], [...owners]],
    [
      'moves all sockets of a dead slot to the other',
      [1],
      [1],
      [
        [1, 1],
        [2, 1],
        [3, 1],
        [4, 1],
      ],
    ],
    [
      'distributes evenly, to the least loaded slot first',
      [1, 2, 3],
      [1, 2, 3],
      [
        [1, 2],
        [2, 1],
        [3, 3],
        [4, 1],
      ],
    ],
    [
      'assigns only to ready slots',
      [1, 2, 3],
      [3],
      [
        [1, 3],
        [2, 1],
        [3, 3],
        [4, 1],
      ],
    ],
    ['keeps the sockets of a starting slot', [0, 1], [1], [...owners]],
    ['changes nothing while no slot is ready', [2], [], [...owners]],
  ])('%s', (_rule, alive, ready, expected) => {
    const before = new Map(owners);
    expect([...reassign(owners, new Set(alive), ready)]).toEqual(expected);
    expect(owners).toEqual(before);
  });

  it('keeps every socket, moves none with a live owner and picks live owners if a slot is ready', () => {
    const slots = fc.uniqueArray(fc.nat(5));
    fc.assert(
      fc.property(fc.nat(12), slots, slots, (count, aliveSlots, more) => {
        const sockets = Array.from({ length: count }, (_, index) => 10 * index);
        const dealt = dealOut(sockets, 6);
        const alive = new Set([...aliveSlots, ...more]);
        const next = reassign(dealt, alive, more);
        expect([...next.keys()]).toEqual(sockets);
        for (const [socket, slot] of next) {
          const before = dealt.get(socket) ?? -1;
          if (alive.has(before)) expect(slot).toBe(before);
          if (more.length > 0) expect(alive).toContain(slot);
        }
      }),
    );
  });
});
