import { describe, expect, it } from 'vitest';
import type { RoundTripSummary } from '../../../../src/client/round-trips.ts';
import { formatRoundTrips } from '../../../../src/client/tool/round-trips.ts';

const nothing: RoundTripSummary = {
  sent: 0,
  received: 0,
  lost: 0,
  lossRatio: 0,
  duplicates: 0,
  reordered: 0,
  corrupted: 0,
  times: undefined,
};

const times = {
  count: 3,
  p999Ms: 1.5,
  minMs: 0.1,
  meanMs: 0.25,
  maxMs: 1.5,
  deviationMs: 0.02,
  p50Ms: 0.2,
  p90Ms: 1,
  p99Ms: 1.4999,
};

function line(summary: RoundTripSummary): string {
  return formatRoundTrips('host', summary, 0);
}

describe('the summary', () => {
  it('includes round-trip times if there are any', () => {
    expect(formatRoundTrips('192.0.2.1:7', { ...nothing, sent: 4, received: 4, times }, 3004.4)).toBe(
      '--- 192.0.2.1:7: 4 sent, 4 received, 0% lost, 3004 ms\n' +
        'rtt min/avg/max/mdev = 0.100/0.250/1.500/0.020 ms\n' +
        'rtt p50/p90/p99 = 0.200/1.000/1.500 ms\n',
    );
  });

  it('is one line if nothing came back', () => {
    expect(formatRoundTrips('host', { ...nothing, sent: 2, lost: 2, lossRatio: 1 }, 10)).toBe(
      '--- host: 2 sent, 0 received, 100% lost, 10 ms\n',
    );
  });

  it('lists duplicates, reordering and corruption only if they occurred', () => {
    const odd = { ...nothing, sent: 3, received: 2, lost: 1, lossRatio: 1 / 3 };
    expect(line({ ...odd, duplicates: 5, reordered: 4, corrupted: 3 })).toBe(
      '--- host: 3 sent, 2 received, 5 duplicates, 4 out of order, 3 corrupted, 33.33% lost, 0 ms\n',
    );
    expect(line({ ...odd, reordered: 4 })).toBe('--- host: 3 sent, 2 received, 4 out of order, 33.33% lost, 0 ms\n');
    expect(line({ ...odd, duplicates: 1 })).toContain('2 received, 1 duplicate, 33.33% lost');
  });
});
