const msOf = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const bytesOf = { TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, '': 1 } as const;

/** Parses `500ms`, `10s`, `5m`, `24h` or `7d` as milliseconds. Undefined for anything else, including bare numbers. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * msOf[match[2] as keyof typeof msOf];
}

/** Formats milliseconds in the largest unit that divides them and gives at least two: `5m`, but `60s` and `24h`. */
export function formatDuration(ms: number): string {
  if (ms % msOf.s !== 0) return `${ms}ms`;
  const unit = (['d', 'h', 'm'] as const).find((each) => ms % msOf[each] === 0 && ms >= 2 * msOf[each]) ?? 's';
  return `${ms / msOf[unit]}${unit}`;
}

/** Parses `512`, `64KiB`, `4MiB`, `1GiB` or `1TiB` as bytes. Returns undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15})(KiB|MiB|GiB|TiB|)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * bytesOf[match[2] as keyof typeof bytesOf];
}

/** Formats bytes in the largest unit that divides them: `64KiB`. */
export function formatSize(bytes: number): string {
  const unit = (['TiB', 'GiB', 'MiB', 'KiB'] as const).find((each) => bytes % bytesOf[each] === 0) ?? '';
  return `${bytes / bytesOf[unit]}${unit}`;
}

/** `1 client`, `2 clients`. */
export function countOf(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
