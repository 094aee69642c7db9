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
        const budget = new DelayedBudget({ datagrams: 5, bytes: 2000 });
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
