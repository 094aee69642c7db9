import { expect, it } from 'vitest';
import { type ClockReading, ClockStatus } from '../../../src/clock/clock-status.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function statusOf(reading: ClockReading | undefined): readonly [boolean, number] {
  const status = new ClockStatus(() => reading, new FakeClock());
  return [status.isSynchronized, status.errorUs];
}

it.each([
  ['the estimate', 250, 4000, 250],
  ['the maximum if nobody estimates it', 0, 4000, 4000],
  ['at most 16 seconds', 0, 99_000_000, 16_000_000],
])('the error of a synchronized clock is %s', (_what, estimatedErrorUs, maximumErrorUs, errorUs) => {
  expect(statusOf({ isSynchronized: true, estimatedErrorUs, maximumErrorUs })).toEqual([true, errorUs]);
});

it('a clock that is not synchronized may be wrong by 16 seconds, whatever was estimated', () => {
  expect(statusOf({ isSynchronized: false, estimatedErrorUs: 1, maximumErrorUs: 2 })).toEqual([false, 16_000_000]);
});

it('a clock of which the system tells nothing is not synchronized', () => {
  expect(statusOf(undefined)).toEqual([false, 16_000_000]);
  const reading = { isSynchronized: false, estimatedErrorUs: 1, maximumErrorUs: 2 };
  const known = [undefined, reading].map((each) => new ClockStatus(() => each, new FakeClock()).isKnown);
  expect(known).toEqual([false, true]);
});

it('asks the system at most once a second', () => {
  const clock = new FakeClock();
  let asked = 0;
  const read = (): ClockReading => {
    asked += 1;
    return { isSynchronized: true, estimatedErrorUs: asked, maximumErrorUs: 9 };
  };
  const status = new ClockStatus(read, clock);
  const seen: number[] = [];
  for (const ms of [0, 999, 1, 500, 500]) {
    clock.advance(ms);
    seen.push(status.errorUs, status.isSynchronized ? status.errorUs : -1);
  }
  expect(seen).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
  expect(asked).toBe(3);
});
