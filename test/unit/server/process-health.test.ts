import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { cpuTimeOf, HealthMeter } from '../../../src/server/process-health.ts';
import { FakeClock } from '../../support/fake-clock.ts';

it('reports event loop lag to every caller within half a second, then resets', async () => {
  const clock = new FakeClock();
  const meter = new HealthMeter(clock);
  meter.take();
  // The first sample, then a loop that is late for the second.
  await pause(120);
  // Longer than other work on the machine can hold it up later.
  const endMs = performance.now() + 1000;
  while (performance.now() < endMs);
  await pause(60);
  clock.advance(500);
  const { lagMs, residentBytes, cpuMs, upMs } = meter.take();
  expect(lagMs).toBeGreaterThan(100);
  expect(residentBytes).toBeGreaterThan(2 ** 20);
  expect(cpuMs).toBeGreaterThan(0);
  expect(upMs).toBeGreaterThan(1000);
  clock.advance(499);
  expect(meter.take().lagMs).toBe(lagMs);
  clock.advance(1);
  expect(meter.take().lagMs).toBeLessThan(lagMs);
});

it('takes no negative CPU time from a worker', () => {
  const health = { lagMs: 0, residentBytes: 0, heapBytes: 0 };
  expect(cpuTimeOf({ ...health, cpuMs: 5, cpuSystemMs: 2 })).toEqual({ userMs: 3, systemMs: 2 });
  expect(cpuTimeOf({ ...health, cpuMs: 1, cpuSystemMs: 2 })).toEqual({ userMs: 0, systemMs: 2 });
  expect(cpuTimeOf(health)).toEqual({ userMs: 0, systemMs: 0 });
});
