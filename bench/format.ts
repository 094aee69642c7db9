import type { Spread } from './statistics.ts';

/** A whole number, with commas. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** A number with three significant digits. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 100) return count(value);
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** A share, in percent. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Microseconds, as milliseconds from one on. */
export function duration(microseconds: number): string {
  return microseconds < 1000 ? `${digits(microseconds)} µs` : `${digits(microseconds / 1000)} ms`;
}

/** Bytes, in the largest unit that leaves at least one. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const index = Math.min(Math.max(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 0), units.length - 1);
  return `${digits(bytes / 1024 ** index)} ${units[index]}`;
}

/** Operations or bytes a second. */
export function rate(perSecond: number, unit: 'operations' | 'bytes'): string {
  return unit === 'bytes' ? `${size(perSecond)}/s` : `${count(perSecond)}/s`;
}

/** CPU time of an operation, or of a mebibyte, in microseconds. */
export function cpu(seconds: number, unit: 'operations' | 'bytes'): string {
  return digits(seconds * 1e6 * (unit === 'bytes' ? 2 ** 20 : 1));
}

/** The median of some ratios, and their range. */
export function spread(ratios: Spread | undefined): string {
  if (ratios === undefined) return '–';
  const [middle, least, most] = [ratios.median, ratios.least, ratios.most].map((value) => value.toFixed(2));
  return `${middle} (${least}–${most})`;
}

/** A Markdown table; every column but the first is right-aligned. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const alignment = header.map((_, index) => (index === 0 ? '---' : '---:'));
  return [header, alignment, ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
