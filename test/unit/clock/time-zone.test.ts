import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  formatOffset,
  isTimeZone,
  type LocalTime,
  loadTimeZone,
  type ZoneFiles,
} from '../../../src/clock/time-zone.ts';
import { tzifBytes } from './tzif-bytes.ts';

const nowhere: ZoneFiles = { directory: '/nonexistent/zoneinfo', localtime: '/nonexistent/localtime' };
let directory: string;
let files: ZoneFiles;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-zones-'));
  files = { directory: join(directory, 'zoneinfo'), localtime: join(directory, 'localtime') };
  const zones = {
    'Europe/Paris': {
      types: [
        { offsetSeconds: 3600, abbreviation: 'CET' },
        { offsetSeconds: 7200, abbreviation: 'CEST' },
      ],
      footer: 'CET-1CEST,M3.5.0,M10.5.0/3',
    },
    'Asia/Tokyo': { types: [{ offsetSeconds: 32_400, abbreviation: 'JST' }], footer: 'JST-9' },
    UTC: { types: [{ offsetSeconds: 0, abbreviation: 'UTC' }], footer: 'UTC0' },
    GMT: { types: [{ offsetSeconds: 0, abbreviation: 'GMT' }], footer: 'GMT0' },
  };
  for (const [name, content] of Object.entries(zones)) {
    mkdirSync(join(files.directory, name, '..'), { recursive: true });
    writeFileSync(join(files.directory, name), tzifBytes(content));
  }
  mkdirSync(join(files.directory, 'America'));
  writeFileSync(join(files.directory, 'America/New_York'), 'damaged');
  writeFileSync(
    files.localtime,
    tzifBytes({ types: [{ offsetSeconds: 20_700, abbreviation: 'NPT' }], footer: '<NPT>-5:45' }),
  );
});

afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

function show(t: LocalTime): string {
  return `${t.year}-${pad(t.month)}-${pad(t.day)} ${pad(t.hour)}:${pad(t.minute)}:${pad(t.second)} ${t.abbreviation}`;
}

function at(name: string | null, instant: string, from: ZoneFiles): string {
  return show(loadTimeZone(name, from).at(Date.parse(instant)));
}

describe('local time from TZif files', () => {
  it.each([
    ['UTC', '2026-11-22T11:07:12Z', '2026-11-22 11:07:12 UTC'],
    ['GMT', '2026-11-22T11:07:12Z', '2026-11-22 11:07:12 GMT'],
    ['Asia/Tokyo', '2026-12-31T15:00:00Z', '2027-01-01 00:00:00 JST'],
    ['asia/tokyo', '2026-12-31T15:00:00Z', '2027-01-01 00:00:00 JST'],
    ['Europe/Paris', '2026-03-29T00:59:59Z', '2026-03-29 01:59:59 CET'],
    ['Europe/Paris', '2026-03-29T01:00:00Z', '2026-03-29 03:00:00 CEST'],
    ['Europe/Paris', '2026-10-25T00:30:00Z', '2026-10-25 02:30:00 CEST'],
    ['Europe/Paris', '2026-10-25T01:30:00Z', '2026-10-25 02:30:00 CET'],
    ['Europe/Paris', '2050-07-01T12:00:00.999Z', '2050-07-01 14:00:00 CEST'],
  ])('%s at %s', (name, instant, expected) => {
    expect(at(name, instant, files)).toBe(expected);
  });

  it('returns the weekday and the offset', () => {
    const local = loadTimeZone('Asia/Tokyo', files).at(Date.parse('2026-11-21T15:00:00Z'));
    expect(local).toMatchObject({ weekday: 0, offsetSeconds: 32_400 });
  });
});

describe('local time without TZif files', () => {
  it.each([
    ['Asia/Tokyo', '2026-11-22T11:07:12Z', '2026-11-22 20:07:12 +0900'],
    ['Asia/Kathmandu', '2026-11-22T11:07:12Z', '2026-11-22 16:52:12 +0545'],
    ['America/New_York', '2026-03-08T06:59:59Z', '2026-03-08 01:59:59 -0500'],
    ['America/New_York', '2026-03-08T07:00:00Z', '2026-03-08 03:00:00 -0400'],
    ['America/St_Johns', '2026-11-22T11:07:12Z', '2026-11-22 07:37:12 -0330'],
    ['UTC', '2026-11-22T11:07:12Z', '2026-11-22 11:07:12 UTC'],
    ['Africa/Monrovia', '1971-01-01T00:00:00Z', '1970-12-31 23:15:30 -0044'],
  ])('%s at %s', (name, instant, expected) => {
    expect(at(name, instant, nowhere)).toBe(expected);
  });

  it('ignores a damaged file', () => {
    expect(at('America/New_York', '2026-11-22T11:07:12Z', files)).toBe('2026-11-22 06:07:12 -0500');
  });
});

describe('the system time zone', () => {
  const instant = '2026-11-22T11:07:12Z';

  it.each(['Asia/Tokyo', ':Asia/Tokyo'])('is taken from TZ=%s', (zone) => {
    vi.stubEnv('TZ', zone);
    expect(at(null, instant, files)).toBe('2026-11-22 20:07:12 JST');
    expect(loadTimeZone(null, files).name).toBe('Asia/Tokyo');
  });

  it('is taken from a POSIX rule in TZ', () => {
    vi.stubEnv('TZ', 'XST-4:30XDT,M3.5.0,M10.5.0');
    expect(at(null, instant, files)).toBe('2026-11-22 15:37:12 XST');
    expect(at(null, '2026-07-01T12:00:00Z', files)).toBe('2026-07-01 17:30:00 XDT');
  });

  it.each(['', 'Nowhere/Nothing'])('is UTC if TZ is %j', (zone) => {
    vi.stubEnv('TZ', zone);
    expect(at(null, instant, files)).toBe('2026-11-22 11:07:12 UTC');
  });

  it('is taken from the localtime file without TZ', () => {
    vi.stubEnv('TZ', undefined);
    expect(at(null, instant, files)).toBe('2026-11-22 16:52:12 NPT');
  });

  it('is taken from Intl without TZ or localtime', () => {
    vi.stubEnv('TZ', undefined);
    const minutesWest = new Date(instant).getTimezoneOffset();
    expect(loadTimeZone(null, nowhere).at(Date.parse(instant)).offsetSeconds).toBe(0 - minutesWest * 60);
  });
});

describe('zone names', () => {
  it.each(['UTC', 'Europe/Paris', 'America/Port-au-Prince', 'Etc/GMT+5', 'America/Argentina/Buenos_Aires'])(
    'include %s',
    (name) => {
      expect(isTimeZone(name)).toBe(true);
    },
  );

  it.each([
    '',
    'Nowhere',
    'Europe',
    '../etc/passwd',
    'Europe/../UTC',
    '/etc/localtime',
    '+09:00',
    'UTC\0',
    'UTC\n',
    ' UTC',
  ])('do not include %j, which is not loaded', (name) => {
    expect(isTimeZone(name)).toBe(false);
    expect(() => loadTimeZone(name, files)).toThrow(RangeError);
  });
});

it.each([
  [0, '+00:00'],
  [3600, '+01:00'],
  [-12_600, '-03:30'],
  [-2_670, '-00:44'],
  [-30, '+00:00'],
])('formats an offset of %i seconds as %s', (seconds, expected) => {
  expect(formatOffset(seconds, ':')).toBe(expected);
});
