import type { RoundTripSummary } from '../round-trips.ts';

/** The summary lines of echo and ping, two or three, in the format of ping(8). */
export function formatRoundTrips(host: string, summary: RoundTripSummary, elapsedMs: number): string {
  const { sent, received, duplicates, reordered, corrupted, lossRatio, times } = summary;
  const odd = [
    duplicates > 0 ? `, ${duplicates} ${duplicates === 1 ? 'duplicate' : 'duplicates'}` : '',
    reordered > 0 ? `, ${reordered} out of order` : '',
    corrupted > 0 ? `, ${corrupted} corrupted` : '',
  ].join('');
  const loss = `${Number((lossRatio * 100).toFixed(2))}% lost`;
  const lines = [`--- ${host}: ${sent} sent, ${received} received${odd}, ${loss}, ${Math.round(elapsedMs)} ms`];
  if (times !== undefined) {
    const { minMs, meanMs, maxMs, deviationMs, p50Ms, p90Ms, p99Ms } = times;
    lines.push(`rtt min/avg/max/mdev = ${row([minMs, meanMs, maxMs, deviationMs])} ms`);
    lines.push(`rtt p50/p90/p99 = ${row([p50Ms, p90Ms, p99Ms])} ms`);
  }
  return `${lines.join('\n')}\n`;
}

/** Milliseconds with microsecond digits, side by side. */
export function row(values: readonly number[]): string {
  return values.map((ms) => ms.toFixed(3)).join('/');
}
