import { beforeEach, expect, it } from 'vitest';
import type { Activity } from '../../../../src/server/supervisor/silence.ts';
import { SilenceWatch } from '../../../../src/server/supervisor/silence-watch.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

let clock: FakeClock;
let hung: number;
let does: Activity | undefined;
let watch: SilenceWatch;

beforeEach(() => {
  clock = new FakeClock();
  hung = 0;
  does = undefined;
  watch = new SilenceWatch({ clock, patienceMs: 5000, activity: () => does, hung: () => (hung += 1) });
});

it('tells once that a process is hung', () => {
  clock.advance(4999);
  expect(hung).toBe(0);
  clock.advance(1);
  expect(hung).toBe(1);
  clock.advance(60_000);
  expect(hung).toBe(1);
  expect(clock.waiting).toBe(0);
});

it('starts over at each report', () => {
  for (let turn = 0; turn < 10; turn += 1) {
    clock.advance(4900);
    watch.heard();
  }
  expect(hung).toBe(0);
  clock.advance(5500);
  expect(hung).toBe(1);
});

it('waits for a process that is starved', () => {
  does = { cpuMs: 0, majorFaults: 0, isRunnable: true };
  clock.advance(120_000);
  expect(hung).toBe(0);
});

it('does not count the time in which this process was stopped', () => {
  clock.pause(60_000);
  clock.advance(4000);
  expect(hung).toBe(0);
});

it('stops when cancelled', () => {
  watch.cancel();
  clock.advance(60_000);
  expect(hung).toBe(0);
});
