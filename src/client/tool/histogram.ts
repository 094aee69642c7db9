import type { LatencyBucket } from '../latency.ts';

/** Eighths of a character cell, from zero to seven. */
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;
const maxRows = 20;
const shortestBar = 4;

/** Formats milliseconds in a suitable unit with three significant figures: `85.3 µs`, `1.25 ms`, `12 s`. */
export function formatLatency(ms: number): string {
  const [value, unit] = ms < 0.9995 ? [ms * 1000, 'µs'] : ms < 999.5 ? [ms, 'ms'] : [ms / 1000, 's'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** A bar of `share`, from 0 to 1, of `width` characters. Never empty if the share is above 0. */
export function bar(share: number, width: number): string {
  const length = Math.round(Math.min(1, Math.max(0, share)) * width * eighths.length);
  const cells = share > 0 ? Math.max(1, length) : 0;
  return '█'.repeat(Math.floor(cells / eighths.length)) + (eighths[cells % eighths.length] ?? '');
}

/**
 * A row per bucket with its upper bound, bar, share and count, no line longer than `columns`. Adjacent buckets are
 * merged if there are more than twenty.
 */
export function drawHistogram(
  buckets: readonly LatencyBucket[],
  columns: number,
  paintBar: (bar: string) => string = (text) => text,
): string {
  const rows = joined(buckets);
  const total = rows.reduce((sum, { count }) => sum + count, 0);
  const highest = Math.max(...rows.map(({ count }) => count));
  const ends = rows.map(({ toMs }) => formatLatency(toMs));
  const counts = rows.map(({ count }) => count.toLocaleString('en'));
  const shares = rows.map(({ count }) => `${((count / total) * 100).toFixed(1)}%`);
  const endWidth = longest(ends);
  const countWidth = longest(counts);
  const shareWidth = longest(shares);
  // Two for `≤ `, two between columns.
  const barWidth = Math.max(shortestBar, columns - 1 - (2 + endWidth + 2 + 2 + shareWidth + 2 + countWidth));
  return rows
    .map(({ count }, row) => {
      const drawn = bar(count / highest, barWidth);
      const padding = ' '.repeat(barWidth - drawn.length);
      const numbers = `${(shares[row] ?? '').padStart(shareWidth)}  ${(counts[row] ?? '').padStart(countWidth)}`;
      return `≤ ${(ends[row] ?? '').padStart(endWidth)}  ${paintBar(drawn)}${padding}  ${numbers}\n`;
    })
    .join('');
}

/** Merges neighbors in the smallest groups that leave at most `maxRows`. */
function joined(buckets: readonly LatencyBucket[]): readonly LatencyBucket[] {
  const groupSize = Math.ceil(buckets.length / maxRows);
  const groups: LatencyBucket[] = [];
  for (let start = 0; start < buckets.length; start += groupSize) {
    const group = buckets.slice(start, start + groupSize);
    groups.push({
      aboveMs: group[0]?.aboveMs ?? 0,
      toMs: group.at(-1)?.toMs ?? 0,
      count: group.reduce((sum, { count }) => sum + count, 0),
    });
  }
  return groups;
}

function longest(texts: readonly string[]): number {
  return Math.max(...texts.map((text) => text.length));
}
