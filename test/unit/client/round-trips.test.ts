import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RoundTrips } from '../../../src/client/round-trips.ts';

describe('RoundTrips', () => {
  it('starts empty', () => {
    expect(new RoundTrips().summary()).toEqual({
      sent: 0,
      received: 0,
      lost: 0,
      lossRatio: 0,
      duplicates: 0,
      reordered: 0,
      corrupted: 0,
      times: undefined,
    });
  });

  it('counts lost, duplicate, reordered and corrupted answers separately', () => {
    const trips = new RoundTrips();
    for (let sequence = 0; sequence < 5; sequence++) trips.sent(sequence, sequence * 10);
    expect(trips.received(0, 1)).toEqual({ rttMs: 1, isDuplicate: false });
    expect(trips.received(2, 24)).toEqual({ rttMs: 4, isDuplicate: false });
    expect(trips.received(1, 25)).toEqual({ rttMs: 15, isDuplicate: false });
    expect(trips.received(1, 26)).toEqual({ rttMs: 16, isDuplicate: true });
    trips.corrupted();
    expect(trips.summary()).toMatchObject({
      sent: 5,
      received: 3,
      lost: 2,
      lossRatio: 0.4,
      duplicates: 1,
      reordered: 1,
      corrupted: 1,
    });
    expect([0, 1, 2, 3].map((sequence) => trips.hasAnswer(sequence))).toEqual([true, true, true, false]);
  });

  it('excludes duplicates from the times', () => {
    const trips = new RoundTrips();
    trips.sent(0, 0);
    trips.received(0, 2);
    trips.received(0, 500);
    expect(trips.summary().times).toMatchObject({ minMs: 2, meanMs: 2, maxMs: 2, deviationMs: 0, p99Ms: 2 });
  });

  it('ignores answers to requests that were never sent', () => {
    const trips = new RoundTrips();
    expect(trips.received(0, 1)).toBeUndefined();
    expect(trips.summary()).toMatchObject({ received: 0, duplicates: 0 });
  });

  it('accepts a round trip of 0 ms', () => {
    const trips = new RoundTrips();
    trips.sent(0, 7);
    expect(trips.received(0, 7)).toEqual({ rttMs: 0, isDuplicate: false });
    expect(trips.summary().times).toMatchObject({ minMs: 0, maxMs: 0, p50Ms: 0 });
  });

  it('counts an endless run in full but forgets old requests', () => {
    const trips = new RoundTrips();
    const total = 200_000;
    for (let sequence = 0; sequence < total; sequence++) {
      trips.sent(sequence, sequence);
      if (sequence % 2 === 0) trips.received(sequence, sequence + 1);
    }
    expect(trips.summary()).toMatchObject({ sent: total, received: total / 2, lost: total / 2 });
    expect(trips.received(1, total)).toBeUndefined();
    expect(trips.received(total - 1, total)).toEqual({ rttMs: 1, isDuplicate: false });
    expect(trips.received(total - 2, total)).toEqual({ rttMs: 2, isDuplicate: true });
  });

  it('computes times that match the measurements', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 60_000, noNaN: true }), { minLength: 1 }), (rtts) => {
        const trips = new RoundTrips();
        for (const [sequence, rttMs] of rtts.entries()) {
          trips.sent(sequence, 0);
          trips.received(sequence, rttMs);
        }
        const { times } = trips.summary();
        if (times === undefined) throw new Error('there are no times');
        const { minMs, p50Ms, p90Ms, p99Ms, maxMs, meanMs, deviationMs } = times;
        expect(minMs).toBe(Math.min(...rtts));
        expect(maxMs).toBe(Math.max(...rtts));
        const ordered = [minMs, p50Ms, p90Ms, p99Ms, maxMs];
        expect([...ordered].sort((one, other) => one - other)).toEqual(ordered);
        // The nearest rank, within the three figures that the histogram keeps.
        const sorted = [...rtts].sort((one, other) => one - other);
        const median = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0;
        expect(Math.abs(p50Ms - median)).toBeLessThanOrEqual(median * 0.002 + 0.002);
        const mean = rtts.reduce((sum, rtt) => sum + rtt, 0) / rtts.length;
        const spread = Math.sqrt(rtts.reduce((sum, rtt) => sum + (rtt - mean) ** 2, 0) / rtts.length);
        expect(meanMs).toBeCloseTo(mean, 6);
        expect(Math.abs(deviationMs - spread)).toBeLessThan(0.01);
      }),
    );
  });
});
