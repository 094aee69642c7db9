import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LocalTimeType, parsePosixZone, posixTypeAt } from './posix-zone.ts';
import { parseTzif, typeAt, type ZoneHistory } from './tzif.ts';

/** An instant as the clocks of a zone show it. */
export interface LocalTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** Positive east of Greenwich. */
  readonly offsetSeconds: number;
  /** What `date +%Z` prints, such as `CEST`; without the system's zone files the offset, such as `+0200`, or `UTC`. */
  readonly abbreviation: string;
}

export interface TimeZone {
  /** Such as `Europe/Paris`, or the rule that TZ holds. */
  readonly name: string;
  /** `epochMs` is in milliseconds since 1970. */
  at(epochMs: number): LocalTime;
}

/** Where the system keeps its TZif files. */
export interface ZoneFiles {
  readonly directory: string;
  readonly localtime: string;
}

const systemZoneFiles: ZoneFiles = { directory: '/usr/share/zoneinfo', localtime: '/etc/localtime' };

/** Whether `name` is a zone of the IANA database, such as `Europe/Paris` or `UTC`. */
export function isTimeZone(name: string): boolean {
  // No dot can pass: no name leads out of the directory of zone files.
  return /^[A-Za-z][\w+-]*(\/[\w+-]+)*$/.test(name) && intlName(name) !== undefined;
}

/**
 * Loads a zone by its name; `null` is the machine's zone: that of the environment variable TZ, else of /etc/localtime.
 * Throws `RangeError` where `isTimeZone(name)` is false. Missing or damaged zone files are no error.
 */
export function loadTimeZone(name: string | null, files: ZoneFiles = systemZoneFiles): TimeZone {
  if (name === null) return loadMachineZone(files);
  if (!isTimeZone(name)) throw new RangeError(`${JSON.stringify(name)} is not a time zone`);
  // The name as given comes first: Intl's own name for GMT is UTC, which is another abbreviation.
  const history =
    readHistory(join(files.directory, name)) ?? readHistory(join(files.directory, intlName(name) ?? name));
  return history === undefined ? zoneOfIntl(name) : zoneOfHistory(name, history);
}

function loadMachineZone(files: ZoneFiles): TimeZone {
  const wanted = process.env['TZ']?.replace(/^:/, '');
  if (wanted !== undefined && isTimeZone(wanted)) return loadTimeZone(wanted, files);

  // TZ may also hold a rule such as JST-9, of which Intl knows nothing.
  const rule = wanted === undefined ? undefined : parsePosixZone(wanted);
  if (wanted !== undefined && rule !== undefined) return createTimeZone(wanted, (ms) => posixTypeAt(rule, ms / 1000));

  const found = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const name = isTimeZone(found) ? found : 'UTC';
  const history = wanted === undefined ? readHistory(files.localtime) : undefined;
  return history === undefined ? loadTimeZone(name, files) : zoneOfHistory(name, history);
}

function zoneOfHistory(name: string, history: ZoneHistory): TimeZone {
  return createTimeZone(name, (epochMs) => typeAt(history, epochMs / 1000));
}

function zoneOfIntl(name: string): TimeZone {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  return createTimeZone(name, (epochMs) => {
    const offsetSeconds = intlOffset(format, epochMs);
    return { offsetSeconds, abbreviation: offsetSeconds === 0 ? 'UTC' : formatOffset(offsetSeconds) };
  });
}

function createTimeZone(name: string, typeOf: (epochMs: number) => LocalTimeType): TimeZone {
  return { name, at: (epochMs) => toLocalTime(epochMs, typeOf(epochMs)) };
}

function toLocalTime(epochMs: number, { offsetSeconds, abbreviation }: LocalTimeType): LocalTime {
  const shifted = new Date(epochMs + offsetSeconds * 1000);
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth() + 1,
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
    weekday: shifted.getUTCDay(),
    offsetSeconds,
    abbreviation,
  };
}

/** An offset as `+HHMM`, or with the separator as `+HH:MM`; seconds are left out, as `date` does. */
export function formatOffset(offsetSeconds: number, separator = ''): string {
  const minutes = Math.trunc(offsetSeconds / 60);
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(size / 60))}${separator}${twoDigits(size % 60)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** The name that Intl gives a zone; undefined for what it does not know. */
function intlName(name: string): string | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** The offset in seconds, which Intl writes as `GMT`, `GMT+09:00` or `GMT-00:44:30`. */
function intlOffset(format: Intl.DateTimeFormat, epochMs: number): number {
  const [, sign, hours, minutes, seconds] = /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(format.format(epochMs)) ?? [];
  if (sign === undefined) return 0;
  const size = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds ?? 0);
  return sign === '-' ? -size : size;
}

function readHistory(file: string): ZoneHistory | undefined {
  try {
    return parseTzif(readFileSync(file));
  } catch {
    return undefined;
  }
}
