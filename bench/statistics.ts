/** Returns the median, the mean of the two middle values if their number is even. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** The median of some ratios, and the smallest and largest of them. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

/** Divides pair by pair, and leaves out pairs of which one is missing. Undefined without a complete pair. */
export function ratioOfPairs(
  ours: readonly (number | undefined)[],
  theirs: readonly (number | undefined)[],
): Spread | undefined {
  const ratios = ours.flatMap((our, index) => {
    const their = theirs[index];
    return our === undefined || their === undefined || their === 0 ? [] : [our / their];
  });
  if (ratios.length === 0) return undefined;
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios), count: ratios.length };
}
