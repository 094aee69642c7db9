import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { FairQueue } from '../../../src/services/fair-queue.ts';

it('gives one item to each in turn', () => {
  const queue = new FairQueue<string>({ ofOne: 10, ofAll: 10 });
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.add(item.charAt(0), item);
  expect(queue.take(4)).toEqual(['a1', 'b1', 'c1', 'a2']);
  queue.add('b', 'b2');
  expect(queue.take(10)).toEqual(['c2', 'a3', 'b2']);
  expect(queue.take(1)).toEqual([]);
});

it('lets whoever has most make room, and then the newcomer be as many at most', () => {
  const queue = new FairQueue<string>({ ofOne: 3, ofAll: 5 });
  for (const item of ['a1', 'a2', 'a3', 'b1', 'b2']) expect(queue.add(item.charAt(0), item)).toBeUndefined();
  expect(queue.add('a', 'a4')).toBe('refused');
  expect(queue.add('c', 'c1')).toBe('a3');
  expect(queue.add('c', 'c2')).toBe('refused');
  expect(queue.add('d', 'd1')).toBe('a2');
  expect(queue.take(10)).toEqual(['a1', 'b1', 'c1', 'd1', 'b2']);
});

it('holds no more than its limits, and frees what is taken or removed', () => {
  const step = fc.record({
    who: fc.constantFrom('a', 'b', 'c'),
    does: fc.constantFrom('add', 'add', 'take', 'remove'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const queue = new FairQueue<string>({ ofOne: 3, ofAll: 5 });
      let waiting: string[] = [];
      const has = (who: string): number => waiting.filter((each) => each === who).length;
      for (const { who, does } of steps) {
        if (does === 'add') {
          const most = Math.max(...['a', 'b', 'c'].map(has));
          const displaced = queue.add(who, who);
          const isRefused = has(who) === 3 || (waiting.length === 5 && most <= has(who) + 1);
          expect(displaced === 'refused').toBe(isRefused);
          if (displaced !== undefined && displaced !== 'refused') {
            expect([waiting.length, has(displaced)]).toEqual([5, most]);
            waiting.splice(waiting.indexOf(displaced), 1);
          }
          if (!isRefused) waiting.push(who);
        } else if (does === 'take') {
          const [taken] = queue.take(1);
          expect(taken === undefined).toBe(waiting.length === 0);
          if (taken !== undefined) waiting.splice(waiting.indexOf(taken), 1);
        } else {
          queue.remove(who, () => true);
          waiting = waiting.filter((each) => each !== who);
        }
      }
      expect(queue.take(10).toSorted()).toEqual(waiting.toSorted());
    }),
  );
});
