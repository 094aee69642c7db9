import { array, assert, double, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClosedSchedule, OpenSchedule } from '../../../../src/client/load/schedule.ts';

const rate = double({ min: 0.01, max: 1_000_000, noNaN: true });
const startMs = double({ min: 0, max: 1e9, noNaN: true });

describe('the open schedule', () => {
  it('gives each request its due time, counted from the start, however late it is taken', () => {
    const delays = array(double({ min: 0, max: 5000, noNaN: true }), { minLength: 1, maxLength: 50 });
    assert(
      property(startMs, rate, delays, (start, perSecond, waits) => {
        const schedule = new OpenSchedule(start, perSecond);
        let nowMs = start;
        for (const [index, wait] of waits.entries()) {
          nowMs = Math.max(nowMs, schedule.nextDueMs()) + wait;
          expect(schedule.take(nowMs)).toBe(start + (index * 1000) / perSecond);
        }
      }),
    );
  });

  it('yields no request before it is due', () => {
    assert(
      property(startMs, rate, integer({ min: 0, max: 50 }), (start, perSecond, taken) => {
        const schedule = new OpenSchedule(start, perSecond);
        for (let index = 0; index < taken; index += 1) schedule.take(Infinity);
        const dueMs = schedule.nextDueMs();
        const justBeforeMs = dueMs - Math.max(1e-6, dueMs * 1e-12);
        expect(schedule.take(justBeforeMs)).toBeUndefined();
        expect(schedule.take(dueMs)).toBe(dueMs);
      }),
    );
  });

  it('reports as many waiting requests as can be taken now', () => {
    const elapsedMs = double({ min: 0, max: 1000, noNaN: true });
    const perSecond = double({ min: 0.1, max: 2000, noNaN: true });
    assert(
      property(startMs, perSecond, elapsedMs, integer({ min: 0, max: 3000 }), (start, wanted, elapsed, limit) => {
        const schedule = new OpenSchedule(start, wanted, limit);
        const waiting = schedule.waiting(start + elapsed);
        let taken = 0;
        while (schedule.take(start + elapsed) !== undefined) taken += 1;
        expect(taken).toBe(waiting);
        expect(schedule.waiting(start + elapsed)).toBe(0);
      }),
    );
  });

  it('ends after the last request', () => {
    const schedule = new OpenSchedule(0, 1000, 2);
    expect([schedule.take(10), schedule.take(10), schedule.take(10)]).toEqual([0, 1, undefined]);
    expect(schedule.nextDueMs()).toBe(Infinity);
  });
});

describe('the closed schedule', () => {
  it('yields requests on demand, due at once, up to the last', () => {
    const schedule = new ClosedSchedule(2);
    expect([schedule.take(5), schedule.nextDueMs(7), schedule.take(7)]).toEqual([5, 7, 7]);
    expect([schedule.take(9), schedule.nextDueMs(9), schedule.waiting()]).toEqual([undefined, Infinity, 0]);
  });
});
