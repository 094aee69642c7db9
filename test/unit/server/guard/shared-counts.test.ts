import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { SharedCounts } from '../../../../src/server/guard/shared-counts.ts';

/** The counters of so many processes. */
function processes(count: number): { readonly all: Int32Array; readonly of: readonly SharedCounts[] } {
  const all = new Int32Array(8);
  return { all, of: Array.from({ length: count }, () => new SharedCounts(all, new Int32Array(8))) };
}

function counter(all: readonly SharedCounts[], index: number): SharedCounts {
  const found = all[index];
  if (found === undefined) throw new Error('no such process');
  return found;
}

it('allows as many as the limit, in whatever processes, and knows what the others have', () => {
  const step = fc.record({ process: fc.nat(2), index: fc.nat(7), adds: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 6 }), (steps, limit) => {
      const { all, of } = processes(3);
      const here = of.map(() => Array.from({ length: 8 }, () => 0));
      for (const { process, index, adds } of steps) {
        const counts = counter(of, process);
        const mine = here[process]![index]!;
        const total = here.reduce((sum, each) => sum + each[index]!, 0);
        expect(counts.others(index)).toBe(total - mine);
        if (adds) {
          expect(counts.take(index, mine, limit)).toBe(total < limit);
          if (total < limit) here[process]![index]! += 1;
        } else if (mine > 0) {
          counts.release(index);
          here[process]![index]! -= 1;
        }
      }
      const sums = [...all.keys()].map((index) => here.reduce((sum, each) => sum + each[index]!, 0));
      expect([...all]).toEqual(sums);
    }),
  );
});

it('takes back what a process had that is gone, and nothing else', () => {
  const all = new Int32Array(8);
  const [left, gone] = [new Int32Array(8), new Int32Array(8)];
  const survivor = new SharedCounts(all, left);
  const dead = new SharedCounts(all, gone);
  survivor.add(1);
  for (let times = 0; times < 3; times += 1) dead.add(1);
  dead.add(7);
  const successor = new SharedCounts(all, gone);
  successor.takeBack();
  expect([...all]).toEqual([0, 1, 0, 0, 0, 0, 0, 0]);
  expect(survivor.take(1, 1, 2)).toBe(true);
  expect(successor.take(1, 0, 2)).toBe(false);
});

it('does not count less than what is here, whatever another process has written', () => {
  const { all, of } = processes(2);
  const counts = counter(of, 0);
  all[2] = -1_000_000;
  expect(counts.others(2)).toBe(0);
  expect([counts.take(2, 0, 2), counts.take(2, 1, 2), counts.take(2, 2, 2)]).toEqual([true, true, false]);
  all[3] = 2 ** 31 - 1;
  expect(counts.take(3, 0, 2)).toBe(false);
});
