/** Shown for what is not known. */
export const unknown = '–';

const unsafe = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Replaces control characters, lone surrogates and characters that change the direction of text with escapes such as
 * `\u202e`: they could make untrusted text look like something else.
 */
export function visible(text: string): string {
  return text.replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `12,345`. */
export function formatCount(count: number): string {
  return Number.isFinite(count) ? Math.round(count).toLocaleString('en') : unknown;
}

/** Two or three digits, or all before the decimal point: `0`, `0.25`, `12.3`, `1,234`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return unknown;
  if (value >= 100) return formatCount(value);
  return String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}

/** `0 B`, `12.5 KiB`, `3.25 GiB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return unknown;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : formatNumber(value)} ${units[unit]}`;
}

/** `0.5 ms`, `12 ms`, `1.5 s`. */
export function formatMs(ms: number): string {
  if (!Number.isFinite(ms)) return unknown;
  return ms < 1000 ? `${formatNumber(Math.round(ms * 10) / 10)} ms` : `${formatNumber(ms / 1000)} s`;
}

/** Of one processor: `12.5%`. */
export function formatShare(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)}%` : unknown;
}

/** In its two largest units: `3d 4h`, `5m 6s`. */
export function formatSpan(ms: number): string {
  if (!Number.isFinite(ms)) return unknown;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ');
}

/** Time of day in this browser's zone, with the date unless that is today: `2026-11-22 12:07:12`. */
export function formatTime(time: string | number | undefined, now: Date = new Date()): string {
  const date = new Date(time ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return unknown;
  const [clock, day, today] = [date.toTimeString().slice(0, 8), dayOf(date), dayOf(now)];
  return day === today ? clock : `${day} ${clock}`;
}

function dayOf(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `service=echo errors=["one","two"]`: words as they are, all else as JSON. */
export function formatFields(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : toJson(value)}`)
    .join(' ');
}

function toJson(value: unknown): string {
  return JSON.stringify(value) ?? unknown;
}
