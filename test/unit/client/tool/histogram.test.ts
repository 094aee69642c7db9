import { array, assert, double, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Latency, type LatencyBucket } from '../../../../src/client/latency.ts';
import { bar, drawHistogram, formatLatency } from '../../../../src/client/tool/histogram.ts';

const columns = integer({ min: 40, max: 200 });

function bucketsOf(values: readonly number[]): readonly LatencyBucket[] {
  const latency = new Latency();
  for (const ms of values) latency.record(ms);
  return latency.distribution();
}

describe('a bar', () => {
  it('matches its share to an eighth of a cell and is empty only for zero', () => {
    assert(
      property(double({ min: 0, max: 1, noNaN: true }), columns, (share, width) => {
        const drawn = bar(share, width);
        const eighths = Array.from(drawn).reduce((sum, cell) => sum + (0x2590 - (cell.codePointAt(0) ?? 0)), 0);
        expect(drawn.length).toBeLessThanOrEqual(width);
        expect(Math.abs(eighths - share * width * 8)).toBeLessThanOrEqual(share > 0 ? 1 : 0);
        expect(drawn === '').toBe(share === 0);
      }),
    );
  });
});

describe('the histogram', () => {
  it('fits its columns in at most 20 rows without losing a count', () => {
    const values = array(double({ min: 0, max: 2_000_000, noNaN: true }), { minLength: 1, maxLength: 300 });
    assert(
      property(values, columns, (latencies, width) => {
        const lines = drawHistogram(bucketsOf(latencies), width).trimEnd().split('\n');
        expect(lines.length).toBeLessThanOrEqual(20);
        for (const line of lines) expect(line.length).toBeLessThan(width);
        const counts = lines.map((line) => Number(line.split(/\s+/).at(-1)?.replaceAll(',', '')));
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(latencies.length);
      }),
    );
  });

  it('fits 40 columns with the largest counts', () => {
    const drawn = drawHistogram([{ aboveMs: 1, toMs: 1.25, count: 999_999_999 }], 40);
    expect(drawn).toBe('≤ 1.25 ms  ███████  100.0%  999,999,999\n');
  });

  it('draws bars to scale, with shares and counts', () => {
    const buckets = [
      { aboveMs: 0.08, toMs: 0.1, count: 1 },
      { aboveMs: 0.1, toMs: 0.125, count: 2000 },
      { aboveMs: 0.125, toMs: 0.16, count: 0 },
      { aboveMs: 0.16, toMs: 0.2, count: 999 },
    ];
    expect(drawHistogram(buckets, 41)).toBe(
      [
        '≤ 100 µs  ▏                  0.0%      1\n',
        '≤ 125 µs  ████████████████  66.7%  2,000\n',
        '≤ 160 µs                     0.0%      0\n',
        '≤ 200 µs  ████████          33.3%    999\n',
      ].join(''),
    );
  });

  it('paints only the bars', () => {
    const drawn = drawHistogram([{ aboveMs: 1, toMs: 2, count: 5 }], 60, (text) => `<${text}>`);
    expect(drawn).toMatch(/^≤ 2 ms {2}<█+> {2}100\.0% {2}5\n$/);
  });
});

describe('a latency', () => {
  it.each([
    [0, '0 µs'],
    [0.0004, '0.4 µs'],
    [0.08534, '85.3 µs'],
    [0.9994, '999 µs'],
    [0.9996, '1 ms'],
    [1.25, '1.25 ms'],
    [999.4, '999 ms'],
    [999.6, '1 s'],
    [12_345, '12.3 s'],
    [1_234_567, '1230 s'],
  ])('of %f ms is formatted as %s', (ms, text) => {
    expect(formatLatency(ms)).toBe(text);
  });
});
