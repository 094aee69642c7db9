const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const name = `(${months.join('|')})[a-z]*`;

export interface DateText {
  /** Milliseconds since 1970, computed as UTC if the text names no known zone. */
  readonly utcMs: number;
  readonly hasZone: boolean;
}

const orders: readonly { readonly pattern: RegExp; readonly order: readonly ('year' | 'month' | 'day')[] }[] = [
  // 2026-11-22, and NIST's 61366 26-11-22
  { pattern: /\b(\d{4})-(\d\d)-(\d\d)/, order: ['year', 'month', 'day'] },
  { pattern: /\b\d{5} (\d\d)-(\d\d)-(\d\d) /, order: ['year', 'month', 'day'] },
  // November 22, 2026
  { pattern: new RegExp(`\\b${name} +(\\d{1,2}),? +(\\d{4})\\b`, 'i'), order: ['month', 'day', 'year'] },
  // 22 NOV 26, 22 Nov 2026, 22-Nov-2026
  { pattern: new RegExp(`\\b(\\d{1,2})[ -]${name}[ -](\\d{4}|\\d\\d)\\b`, 'i'), order: ['day', 'month', 'year'] },
  // Nov 22 11:07:12 2026, Nov 22 11:07:12 UTC 2026
  {
    pattern: new RegExp(`\\b${name} +(\\d{1,2}) +\\d{1,2}:\\d\\d:\\d\\d +(?:[^ ]+ +)?(\\d{4})\\b`, 'i'),
    order: ['month', 'day', 'year'],
  },
];

/** Parses date and time in a daytime line, which has no standard format (RFC 867). Undefined if it is unknown. */
export function readDate(text: string): DateText | undefined {
  const clock = /(?<!\d)(\d{1,2}):(\d\d):(\d\d)(?!\d)/.exec(text);
  if (clock === null) return undefined;
  const [hour, minute, second] = clock.slice(1).map(Number) as [number, number, number];
  for (const { pattern, order } of orders) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const part = (which: 'year' | 'month' | 'day'): string => match[order.indexOf(which) + 1] ?? '';
    const year = Number(part('year').length === 2 ? `20${part('year')}` : part('year'));
    const month = months.indexOf(part('month').slice(0, 3).toLowerCase());
    const monthIndex = month < 0 ? Number(part('month')) - 1 : month;
    const offsetMs = readOffset(text);
    const localMs = Date.UTC(year, monthIndex, Number(part('day')), hour, minute, second);
    return { utcMs: localMs - (offsetMs ?? 0), hasZone: offsetMs !== undefined };
  }
  return undefined;
}

/** Only UTC and numeric offsets mean the same everywhere. */
function readOffset(text: string): number | undefined {
  if (/\d\d[ -]?(?:UTC|GMT|Z)\b|\bUTC\(/.test(text)) return 0;
  const match = /:\d\d ?([+-])(\d\d):?(\d\d)\b/.exec(text);
  if (match === null) return undefined;
  const ms = (Number(match[2]) * 60 + Number(match[3])) * 60_000;
  return match[1] === '-' ? -ms : ms;
}
