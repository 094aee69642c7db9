import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Delayed, DelayQueue } from '../../../../src/server/faults/delay-queue.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

class Item implements Delayed {
  dueMs = 0;
  position = -1;
  turn = 0;
  readonly name: number;
  readonly #ran: (name: number, nowMs: number) => void;

  constructor(name: number, ran: (name: number, nowMs: number) => void) {
    this.name = name;
    this.#ran = ran;
  }

  due(nowMs: number): void {
    this.#ran(this.name, nowMs);
  }
}

type Step =
  | { readonly kind: 'set'; readonly item: number; readonly afterMs: number }
  | { readonly kind: 'remove'; readonly item: number }
  | { readonly kind: 'advance'; readonly ms: number };

const items = fc.integer({ min: 0, max: 19 });
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('set' as const), item: items, afterMs: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ kind: fc.constant('remove' as const), item: items }),
    fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 30 }) }),
  ),
  { maxLength: 100 },
);

it('runs each once, never early, in the order in which they are due, as a sorted list would', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const clock = new FakeClock();
      const queue = new DelayQueue(clock);
      const ran: number[] = [];
      const dueOf = new Map<number, { dueMs: number; turn: number }>();
      const made = Array.from(
        { length: 20 },
        (_, name) =>
          new Item(name, (each, nowMs) => {
            const due = dueOf.get(each);
            if (due === undefined) throw new Error(`${each} does not wait`);
            expect(nowMs).toBeGreaterThanOrEqual(due.dueMs);
            for (const other of dueOf.values())
              expect(other.dueMs > due.dueMs || (other.dueMs === due.dueMs && other.turn >= due.turn)).toBe(true);
            dueOf.delete(each);
            ran.push(each);
          }),
      );
      let turn = 0;
      for (const step of all) {
        if (step.kind === 'advance') {
          clock.advance(step.ms);
          // At most a millisecond late.
          for (const { dueMs } of dueOf.values()) expect(dueMs).toBeGreaterThan(clock.nowMs - 1);
        } else if (step.kind === 'remove') {
          queue.remove(made[step.item]!);
          dueOf.delete(step.item);
        } else {
          const dueMs = clock.nowMs + step.afterMs;
          if (dueOf.get(step.item)?.dueMs !== dueMs) dueOf.set(step.item, { dueMs, turn: turn++ });
          queue.set(made[step.item]!, dueMs);
        }
        expect(queue.length).toBe(dueOf.size);
      }
      clock.advance(100);
      expect(queue.length).toBe(0);
      expect(clock.waiting).toBe(0);
    }),
  );
});

it('has one timer, however many wait', () => {
  const clock = new FakeClock();
  const queue = new DelayQueue(clock);
  for (let name = 0; name < 10_000; name += 1) queue.set(new Item(name, () => {}), 5 + (name % 100));
  expect(clock.waiting).toBe(1);
});

it('leaves the event loop to others after 256 at once', () => {
  const clock = new FakeClock();
  const queue = new DelayQueue(clock);
  const ran: number[] = [];
  for (let name = 0; name < 600; name += 1) queue.set(new Item(name, (each) => void ran.push(each)), 5);
  clock.advance(5);
  expect(ran).toHaveLength(256);
  clock.advance(2);
  expect(ran).toEqual(Array.from({ length: 600 }, (_, name) => name));
});
