import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { handlerTimeBoundsNs, HandlerTimer, newHandlerTime } from '../../../src/server/handler-time.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Calls that take these times, one after the other. Returns what was recorded. */
function timed(clock: FakeClock, callsMs: readonly number[]): ReturnType<typeof newHandlerTime> {
  const time = newHandlerTime();
  const timer = new HandlerTimer(time, clock);
  for (const ms of callsMs) {
    const beganMs = timer.begin();
    clock.advance(ms);
    timer.end(beganMs);
  }
  return time;
}

it('times the first call, and then one in 61', () => {
  const calls = Array.from({ length: 123 }, (_, index) => (index % 61 === 0 ? 3 : 700));
  expect(timed(new FakeClock(), calls)).toEqual({
    buckets: handlerTimeBoundsNs.map((boundNs) => (boundNs === 5e6 ? 3 : 0)).concat(0),
    sumNs: 9e6,
  });
});

it('records a call in the first bucket that is not below it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3e9 }), (ns) => {
      const bounds = [...handlerTimeBoundsNs, Number.POSITIVE_INFINITY];
      const time = newHandlerTime();
      const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
      const timer = new HandlerTimer(time, clock);
      const beganMs = timer.begin();
      clock.nowMs = ns / 1e6;
      timer.end(beganMs);
      expect(time.buckets.indexOf(1)).toBe(bounds.findIndex((boundNs) => ns <= boundNs));
      expect(time.sumNs).toBe(ns);
    }),
  );
});

it('does not count a call backwards if the clock goes back', () => {
  const clock = { nowMs: 5, monotonicMs: () => clock.nowMs };
  const time = newHandlerTime();
  const timer = new HandlerTimer(time, clock);
  const beganMs = timer.begin();
  clock.nowMs = 4;
  timer.end(beganMs);
  expect(time.sumNs).toBe(0);
  expect(time.buckets[0]).toBe(1);
});
