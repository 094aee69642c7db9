import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { DelayedBudget } from '../../../../src/server/faults/delayed-budget.ts';

it('never holds more than its limits, and has room again for what is given back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ isDatagram: fc.boolean(), bytes: fc.nat(900), isGivenBack: fc.boolean() }), {
        maxLength: 60,
      }),
      (steps) => {
        const budget = new DelayedBudget();
        budget.limits = { datagrams: 5, bytes: 2000 };
        let [datagrams, bytes] = [0, 0];
        for (const { isDatagram, bytes: size, isGivenBack } of steps) {
          const fits = bytes + size <= 2000 && datagrams < 5;
          if (isDatagram) expect(budget.takeDatagram(size)).toBe(fits);
          else if (!budget.takeChunk(size)) continue;
          if (isDatagram && !fits) continue;
          if (isGivenBack) {
            if (isDatagram) budget.giveDatagram(size);
            else budget.giveChunk(size);
            continue;
          }
          datagrams += isDatagram ? 1 : 0;
          // A chunk costs more than its bytes.
          bytes += isDatagram ? size : size + 128;
          expect(bytes).toBeLessThanOrEqual(2000);
          expect(budget.isTight).toBe(bytes > 1000);
        }
      },
    ),
  );
});

it('counts on what it holds when its limits change', () => {
  const budget = new DelayedBudget();
  expect(budget.takeDatagram(1)).toBe(false);
  budget.limits = { datagrams: 2, bytes: 1000 };
  expect([budget.takeDatagram(600), budget.isTight]).toEqual([true, true]);
  budget.limits = { datagrams: 2, bytes: 1500 };
  expect([budget.isTight, budget.takeDatagram(1000), budget.takeDatagram(900)]).toEqual([false, false, true]);
  budget.limits = { datagrams: 1, bytes: 1500 };
  budget.giveDatagram(600);
  expect(budget.takeDatagram(1)).toBe(false);
  budget.giveDatagram(900);
  expect(budget.takeDatagram(1)).toBe(true);
});
