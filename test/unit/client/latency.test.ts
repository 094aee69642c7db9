import { array, assert, constantFrom, double, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Latency } from '../../../src/client/latency.ts';

const latencies = array(double({ min: 0, max: 2_000_000, noNaN: true }), { minLength: 1, maxLength: 200 });

function latencyOf(values: readonly number[]): Latency {
  const latency = new Latency();
  for (const ms of values) latency.record(ms);
  return latency;
}

describe('latency', () => {
  it('takes any number', () => {
    const latency = latencyOf([-1, Infinity, Number.MAX_VALUE, Number.NaN]);
    expect(latency.summary()).toMatchObject({ count: 3, minMs: 0, maxMs: 9_007_199_254 });
  });

  it('reports percentiles to three significant digits', () => {
    assert(
      property(latencies, constantFrom(50, 90, 99, 99.9, 100), (values, percent) => {
        const sorted = [...values].sort((one, other) => one - other);
        // HdrHistogram rounds the rank to the nearest.
        const rank = Math.max(1, Math.floor((percent / 100) * sorted.length + 0.5));
        const exact = sorted[rank - 1] as number;
        // Half a thousandth on each side, and a nanosecond for what is rounded to whole ones.
        expect(Math.abs(latencyOf(values).percentileMs(percent) - exact)).toBeLessThanOrEqual(exact * 0.002 + 2e-6);
      }),
    );
  });

  it('reports percentiles in order, between minimum and maximum', () => {
    assert(
      property(latencies, (values) => {
        const summary = latencyOf(values).summary();
        expect(summary).toMatchObject({ count: values.length, minMs: Math.min(...values), maxMs: Math.max(...values) });
        const { minMs = 0, p50Ms = 0, p90Ms = 0, p99Ms = 0, p999Ms = 0, maxMs = 0 } = summary ?? {};
        const row = [minMs, p50Ms, p90Ms, p99Ms, p999Ms, maxMs];
        expect(row).toEqual([...row].sort((one, other) => one - other));
      }),
    );
  });

  it('counts each value in exactly one bucket, with no gaps between buckets', () => {
    assert(
      property(latencies, (values) => {
        const buckets = latencyOf(values).distribution();
        for (const [index, { aboveMs, toMs, count }] of buckets.entries()) {
          const inside = values.filter((ms) => (ms > aboveMs || (aboveMs === 0 && ms === 0)) && ms <= toMs);
          expect(count).toBe(inside.length);
          if (index > 0) expect(aboveMs).toBe(buckets[index - 1]?.toMs);
        }
        expect(buckets.reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
        expect([buckets[0]?.count, buckets.at(-1)?.count]).not.toContain(0);
      }),
    );
  });

  it('has no percentiles or buckets if nothing was recorded', () => {
    const latency = new Latency();
    expect(latency.summary()).toBeUndefined();
    expect(latency.distribution()).toEqual([]);
    expect(latency.percentileMs(99)).toBe(0);
  });
});
