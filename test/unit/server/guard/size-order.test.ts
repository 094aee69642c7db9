import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Sized, SizeOrder } from '../../../../src/server/guard/size-order.ts';

const none = 0;

it('has no largest member when empty', () => {
  const order = new SizeOrder();
  expect(order.at(0)).toBeUndefined();
  const member: Sized = { size: 0, rank: 0 };
  order.grow(member);
  expect(order.at(0)).toBe(member);
  order.shrink(member);
  expect([order.at(0), member.size]).toEqual([undefined, 0]);
});

it('keeps members sorted by size, largest first, as they grow and shrink', () => {
  const steps = fc.array(fc.record({ at: fc.nat(6), shrinks: fc.boolean() }), { maxLength: 300 });
  fc.assert(
    fc.property(steps, (list) => {
      const order = new SizeOrder<Sized>();
      const members = Array.from({ length: 7 }, (): Sized => ({ size: 0, rank: 0 }));
      const sizes = members.map(() => none);
      for (const { at, shrinks } of list) {
        const member = members[at];
        const size = sizes[at] ?? 0;
        if (member === undefined || (shrinks && size === 0)) continue;
        if (shrinks) order.shrink(member);
        else order.grow(member);
        sizes[at] = shrinks ? size - 1 : size + 1;
        expect(members.map((each) => each.size)).toEqual(sizes);
        expect(order.at(0)?.size ?? 0).toBe(Math.max(...sizes));
        // By their ranks the members stand in a row, the larger ones first.
        const row = members.filter((each) => each.size > 0).sort((one, other) => one.rank - other.rank);
        expect(row.map(({ rank }) => rank)).toEqual(row.map((_each, rank) => rank));
        expect(row.map((each) => each.size)).toEqual(row.map((each) => each.size).sort((one, other) => other - one));
      }
    }),
  );
});
