import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LocalTimeType, parsePosixZone, posixTypeAt, toSeconds } from './posix-zone.ts';
import { parseTzif, typeAt, type ZoneHistory } from './tzif.ts';

/** An instant in local time. Without the system's zone files, `abbreviation` is an offset like `+0200`, or `UTC`. */
export interface LocalTime extends LocalTimeType {
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
}

export interface TimeZone {
  /** A name such as `Europe/Paris`, or the rule in TZ. */
  readonly name: string;
  /** `epochMs` is milliseconds since 1970. */
  at(epochMs: number): LocalTime;
}

/** Where to find the system's TZif files. */
export interface ZoneFiles {
  readonly directory: string;
  readonly localtime: string;
}

const systemZoneFiles: ZoneFiles = { directory: '/usr/share/zoneinfo', localtime: '/etc/localtime' };

/** Whether `name` is an IANA time zone, such as `Europe/Paris` or `UTC`. */
export function isTimeZone(name: string): boolean {
  // Dots are not allowed, so no name can leave the directory of zone files.
  return /^[A-Za-z][\w+-]*(\/[\w+-]+)*$/.test(name) && intlName(name) !== undefined;
}

/**
 * Loads a zone by name, or the machine's zone if `name` is null: from the environment variable TZ, otherwise from
 * /etc/localtime. Throws `RangeError` if `isTimeZone(name)` is false. Missing or damaged zone files are not an error.
 */
export function loadTimeZone(name: string | null, files: ZoneFiles = systemZoneFiles): TimeZone {
  if (name === null) return loadMachineZone(files);
  if (!isTimeZone(name)) throw new RangeError(`${JSON.stringify(name)} is not a time zone`);
  // Try the name as given first: Intl renames GMT to UTC, which has another abbreviation.
  const history =
    readHistory(join(files.directory, name)) ?? readHistory(join(files.directory, intlName(name) ?? name));
  return history === undefined ? zoneOfIntl(name) : zoneOfHistory(name, history);
}

function loadMachineZone(files: ZoneFiles): TimeZone {
  const wanted = process.env['TZ']?.replace(/^:/, '');
  if (wanted !== undefined && isTimeZone(wanted)) return loadTimeZone(wanted, files);

  // TZ may also contain a rule such as JST-9, which Intl does not know.
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

function toLocalTime(epochMs: number, type: LocalTimeType): LocalTime {
  const shifted = new Date(epochMs + type.offsetSeconds * 1000);
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth() + 1,
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
    weekday: shifted.getUTCDay(),
    ...type,
  };
}

/** Formats an offset as `+HHMM`, or with the separator as `+HH:MM`. Seconds are dropped, as in `date`. */
export function formatOffset(offsetSeconds: number, separator = ''): string {
  const minutes = Math.trunc(offsetSeconds / 60);
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(size / 60))}${separator}${twoDigits(size % 60)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** Intl's name for a zone, or undefined if it is unknown. */
function intlName(name: string): string | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** The offset in seconds, parsed from Intl's `GMT`, `GMT+09:00` or `GMT-00:44:30`. */
function intlOffset(format: Intl.DateTimeFormat, epochMs: number): number {
  const offset = /GMT([+-]\d\d:\d\d(?::\d\d)?)/.exec(format.format(epochMs))?.[1];
  return offset === undefined ? 0 : toSeconds(offset);
}

function readHistory(file: string): ZoneHistory | undefined {
  try {
    return parseTzif(readFileSync(file));
  } catch {
    return undefined;
  }
}
