/** A kind of local time: its offset from UTC in seconds, positive east of Greenwich, and the output of `date +%Z`. */
export interface LocalTimeType {
  readonly offsetSeconds: number;
  readonly abbreviation: string;
}

/** A zone in POSIX TZ format, as in the environment variable TZ and at the end of TZif files (RFC 8536). */
export interface PosixZone {
  readonly standard: LocalTimeType;
  /** `start` is in standard time, `end` in daylight time. */
  readonly daylight: { readonly type: LocalTimeType; readonly start: Change; readonly end: Change } | undefined;
}

/** When a zone changes in a given year, in seconds since 1970 by the clock in effect before the change. */
type Change = (year: number) => number;

const name = '([A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)';
const timeOfDay = '([+-]?\\d{1,3}(?::\\d\\d){0,2})';
const zonePattern = new RegExp(`^${name}${timeOfDay}(?:${name}${timeOfDay}?(?:,([^,]+),([^,]+))?)?$`);
const changePattern = new RegExp(`^(?:M([1-9]|1[0-2])\\.([1-5])\\.([0-6])|(J?)(\\d{1,3}))(?:/${timeOfDay})?$`);

/** Parses a POSIX TZ string such as `CET-1CEST,M3.5.0,M10.5.0/3` or `<+03>-3`. Returns undefined for anything else. */
export function parsePosixZone(text: string): PosixZone | undefined {
  const [, standardName, standardTime, daylightName, daylightTime, startText, endText] = zonePattern.exec(text) ?? [];
  if (standardName === undefined || standardTime === undefined) return undefined;
  // POSIX counts westward. Subtracting rather than negating keeps zero from becoming -0.
  const standard = { offsetSeconds: 0 - toSeconds(standardTime), abbreviation: unquote(standardName) };
  if (daylightName === undefined) return { standard, daylight: undefined };

  const offsetSeconds = daylightTime === undefined ? standard.offsetSeconds + 3600 : 0 - toSeconds(daylightTime);
  const start = parseChange(startText ?? 'M3.2.0');
  const end = parseChange(endText ?? 'M11.1.0');
  if (start === undefined || end === undefined) return undefined;
  return { standard, daylight: { type: { offsetSeconds, abbreviation: unquote(daylightName) }, start, end } };
}

/** The type in effect at an instant in seconds since 1970. */
export function posixTypeAt({ standard, daylight }: PosixZone, seconds: number): LocalTimeType {
  if (daylight === undefined) return standard;
  const year = new Date((seconds + standard.offsetSeconds) * 1000).getUTCFullYear();
  const start = daylight.start(year) - standard.offsetSeconds;
  const end = daylight.end(year) - daylight.type.offsetSeconds;
  // In the southern hemisphere, daylight time spans the new year.
  const isDaylight = start < end ? start <= seconds && seconds < end : seconds < end || start <= seconds;
  return isDaylight ? daylight.type : standard;
}

/** `M3.5.0/3`: the last (5th) Sunday (0) of March, 3:00. `J60`: day 60 without leap days. `59`: with them, from 0. */
function parseChange(text: string): Change | undefined {
  const match = changePattern.exec(text);
  if (match === null) return undefined;
  const [, month, week, weekday, julian, dayText, timeText = '2'] = match;
  const time = toSeconds(timeText);
  if (month !== undefined) {
    return (year) => nthWeekday(year, Number(month), Number(week), Number(weekday)) + time;
  }
  const day = Number(dayText);
  if (julian === '') return (year) => Date.UTC(year, 0, 1 + day) / 1000 + time;
  // Day 60 is always March 1, as in 2023, which was not a leap year.
  const common = new Date(Date.UTC(2023, 0, day));
  return (year) => Date.UTC(year, common.getUTCMonth(), common.getUTCDate()) / 1000 + time;
}

/** Midnight of the nth weekday (0 is Sunday) of a month (1 to 12). The 5th is the last. */
function nthWeekday(year: number, month: number, week: number, weekday: number): number {
  const first = new Date(Date.UTC(year, month - 1, 1)).getUTCDay();
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const day = 1 + ((weekday - first + 7) % 7) + (week - 1) * 7;
  return Date.UTC(year, month - 1, day > days ? day - 7 : day) / 1000;
}

/** Parses hours with optional minutes, seconds and sign: `2`, `+09:00` or `-00:44:30`. */
export function toSeconds(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = text.replace(/^[+-]/, '').split(':').map(Number);
  const size = hours * 3600 + minutes * 60 + seconds;
  return text.startsWith('-') ? -size : size;
}

function unquote(quoted: string): string {
  return quoted.replace(/[<>]/g, '');
}
