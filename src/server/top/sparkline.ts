import type { Glyphs } from './text.ts';

/** A value at a time. */
export interface Sample {
  /** Seconds since 1970. */
  readonly time: number;
  /** NaN if unknown. */
  readonly value: number;
}

/** How much time a chart shows. */
export const spanS = 300;

/**
 * Draws the last five minutes in this many characters, oldest first, each the mean of its time. Its height is relative
 * to the highest. A space is a time of which nothing is known. The times of a character are multiples of its length, so
 * that bars move to the left and never change.
 */
export function sparkline(samples: readonly Sample[], width: number, { bars }: Glyphs): string {
  if (width <= 0) return '';
  const lengthS = Math.ceil(spanS / width);
  const last = Math.floor((samples.at(-1)?.time ?? 0) / lengthS);
  const sums = Array.from({ length: width }, () => ({ sum: 0, count: 0 }));
  for (const { time, value } of samples) {
    const bucket = sums[width - 1 - (last - Math.floor(time / lengthS))];
    if (bucket === undefined || Number.isNaN(value)) continue;
    bucket.sum += value;
    bucket.count += 1;
  }
  const means = sums.map(({ sum, count }) => (count === 0 ? Number.NaN : sum / count));
  const highest = means.reduce((most, mean) => (mean > most ? mean : most), 0);
  return means.map((mean) => (Number.isNaN(mean) ? ' ' : (bars[stepOf(mean, highest, bars.length)] ?? ' '))).join('');
}

/** The least that is more than nothing can be seen. */
function stepOf(value: number, highest: number, steps: number): number {
  return value <= 0 ? 0 : Math.max(1, Math.round((value / highest) * (steps - 1)));
}
