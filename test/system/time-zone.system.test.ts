import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type LocalTime, loadTimeZone } from '../../src/clock/time-zone.ts';

const zones = [
  'UTC',
  'GMT',
  'Etc/GMT+5',
  'EST5EDT',
  'Asia/Tokyo',
  'Asia/Kolkata',
  'Asia/Calcutta',
  'Asia/Kathmandu',
  'Europe/Paris',
  'Europe/London',
  'Europe/Dublin',
  'Europe/Istanbul',
  'Africa/Casablanca',
  'America/New_York',
  'America/Sao_Paulo',
  'America/St_Johns',
  'Australia/Sydney',
  'Australia/Lord_Howe',
  'Pacific/Auckland',
  'Pacific/Apia',
  'Pacific/Kiritimati',
];

const summer = Date.parse('2026-07-01T12:00:00Z') / 1000;
/** Instants over six decades, in seconds, and each side of the changes of 2026 in several zones. */
const instants = [
  ...Array.from({ length: 120 }, (_, index) => index * 15_778_463),
  ...[
    '2026-03-08T07:00:00Z',
    '2026-03-29T01:00:00Z',
    '2026-04-04T16:00:00Z',
    '2026-10-25T01:00:00Z',
    '2026-11-01T06:00:00Z',
  ]
    .map((text) => Date.parse(text) / 1000)
    .flatMap((second) => [second - 1, second]),
];

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

function show(t: LocalTime): string {
  const date = `${t.year}-${pad(t.month)}-${pad(t.day)}`;
  return `${date} ${pad(t.hour)}:${pad(t.minute)}:${pad(t.second)} ${t.weekday} ${t.abbreviation}`;
}

function askDate(zone: string, seconds: readonly number[]): string[] {
  const output = execFileSync('date', ['--file=-', '+%Y-%m-%d %H:%M:%S %w %Z'], {
    input: seconds.map((second) => `@${second}\n`).join(''),
    env: { ...process.env, TZ: zone, LC_ALL: 'C' },
    encoding: 'utf8',
  });
  return output.trimEnd().split('\n');
}

beforeAll(() => {
  if (!existsSync('/usr/share/zoneinfo/Asia/Tokyo'))
    throw new Error('this test needs the time zones of the Debian package tzdata (apt-get install tzdata)');
});

describe('local time matches the output of date', () => {
  it.each(zones)('in %s', (name) => {
    const zone = loadTimeZone(name);
    expect(instants.map((second) => show(zone.at(second * 1000)))).toEqual(askDate(name, instants));
  });

  it.each([
    'JST-9',
    'XST-4:30',
    'EST5EDT,M3.2.0,M11.1.0',
    'EST5EDT4,M3.2.0/-3,M11.1.0/26',
    '<+1030>-10:30<+11>-11,M10.1.0,M4.1.0',
    'IST-1GMT0,M10.5.0,M3.5.0/1',
    'AAA3BBB,J60/0,J300/24',
    'AAA3BBB,59/0,299/24',
  ])('with TZ=%s', (rule) => {
    vi.stubEnv('TZ', rule);
    const zone = loadTimeZone(null);
    vi.unstubAllEnvs();
    expect(instants.map((second) => show(zone.at(second * 1000)))).toEqual(askDate(rule, instants));
  });

  it('in the system time zone', () => {
    const output = execFileSync('date', ['-d', `@${summer}`, '+%Y-%m-%d %H:%M:%S %w %Z'], { encoding: 'utf8' });
    expect(show(loadTimeZone(null).at(summer * 1000))).toBe(output.trimEnd());
  });
});
