import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Activity, isHung, isOverdue, lengthen, noSilence } from '../../../../src/server/supervisor/silence.ts';

const patienceMs = 5000;

/** A process without a report, seen once in each period. Returns after how many milliseconds it counts as hung. */
function hungAfterMs(
  activity: (nowMs: number) => Activity | undefined,
  { periodMs = 500, patience = patienceMs } = {},
): number {
  let silence = noSilence;
  for (let nowMs = periodMs; nowMs <= 600_000; nowMs += periodMs) {
    silence = lengthen(silence, periodMs, isOverdue(silence) ? activity(nowMs) : undefined);
    if (isHung(silence, patience)) return nowMs;
  }
  return Number.POSITIVE_INFINITY;
}

/** A process that would always run, and gets this part of a processor. */
function spinning(part: number): (nowMs: number) => Activity {
  return (nowMs) => ({ cpuMs: nowMs * part, majorFaults: 0, isRunnable: true });
}

const idle: Activity = { cpuMs: 100, majorFaults: 0, isRunnable: false };

describe('a silent process', () => {
  it('that nothing is known about is hung after its patience', () => {
    expect(hungAfterMs(() => undefined)).toBe(5000);
  });

  it('that sleeps, is blocked or stopped is hung after its patience', () => {
    expect(hungAfterMs(() => idle)).toBe(5000);
  });

  it.each([
    [1, 5000],
    [0.4, 5000],
    [0.3, 6000],
    [0.05, 26_500],
  ])('that spins on %s of a processor is hung after %i ms', (part, ms) => {
    expect(hungAfterMs(spinning(part))).toBe(ms);
  });

  // It may only pretend: a page that is read from disk now and then is easy to bring about.
  it.each([
    [patienceMs, spinning(0)],
    [6 * patienceMs, spinning(0)],
    [6 * patienceMs, (nowMs: number) => ({ ...idle, majorFaults: nowMs })],
  ])('that waits for a processor or its memory gets five minutes, for a patience of %i ms', (patience, activity) => {
    expect(hungAfterMs(activity, { patience })).toBe(300_000);
  });

  it('needs ten looks, however long the supervisor does not look', () => {
    expect(hungAfterMs(() => idle, { periodMs: 60_000 })).toBe(600_000);
  });

  it('is never hung before its patience is over', () => {
    const activity = fc.record({ cpuMs: fc.nat(100_000), majorFaults: fc.nat(9), isRunnable: fc.boolean() });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(90_000), activity), { maxLength: 9 }), (looks) => {
        let silence = noSilence;
        for (const [elapsedMs, seen] of looks) {
          silence = lengthen(silence, elapsedMs, seen);
          expect(isHung(silence, patienceMs)).toBe(false);
        }
      }),
    );
  });
});
