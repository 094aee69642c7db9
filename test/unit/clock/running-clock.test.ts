import { beforeEach, expect, it } from 'vitest';
import { RunningClock } from '../../../src/clock/running-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let system: FakeClock;
let clock: RunningClock;

beforeEach(() => {
  system = new FakeClock();
  clock = new RunningClock(system);
});

it('goes like the clock below while the process runs', () => {
  for (const ms of [0, 1, 499, 60_000, 3_600_000]) {
    const before = clock.monotonicMs();
    system.advance(ms);
    expect(clock.monotonicMs() - before).toBe(ms);
  }
  expect(clock.now()).toEqual(system.now());
});

it('counts the delays of a busy event loop', () => {
  system.pause(1500);
  expect(clock.monotonicMs()).toBe(1500);
});

it('counts half a second of a pause', () => {
  system.pause(60_000);
  expect(clock.monotonicMs()).toBe(500);
  system.advance(250);
  expect(clock.monotonicMs()).toBe(750);
  system.pause(60_000);
  expect(clock.monotonicMs()).toBe(1250);
});

it('notices a pause whoever asks first', () => {
  // Before the clock's own timer, which is due, too.
  system.nowMs += 60_000;
  expect(clock.monotonicMs()).toBe(500);
  expect(clock.monotonicMs()).toBe(500);
});

it('has timers that wait in the same time', () => {
  let fired = 0;
  clock.after(10_000, () => (fired += 1));
  system.pause(60_000);
  expect(fired).toBe(0);
  system.advance(9499);
  expect(fired).toBe(0);
  system.advance(1);
  expect(fired).toBe(1);
});

it('cancels a timer that a pause has delayed', () => {
  const cancel = clock.after(10_000, () => expect.unreachable());
  system.pause(60_000);
  cancel();
  system.advance(60_000);
});

it('has periodic tasks', () => {
  let fired = 0;
  const cancel = clock.every(1000, () => (fired += 1));
  system.advance(3000);
  cancel();
  system.advance(3000);
  expect(fired).toBe(3);
});
