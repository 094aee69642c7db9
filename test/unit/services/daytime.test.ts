import { describe, expect, it, vi } from 'vitest';
import { type DaytimeFormat, type DaytimeOptions, daytime } from '../../../src/services/daytime.ts';
import type { Service } from '../../../src/service.ts';
import { connect, FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

const defaults: DaytimeOptions = { format: 'rfc867', zone: 'UTC', whenUnsynchronized: 'answer' };

async function create(
  options: Partial<DaytimeOptions>,
  now: string,
): Promise<{ context: FakeContext; service: Service }> {
  const context = new FakeContext(now);
  return { context, service: await daytime.create({ ...defaults, ...options }, context) };
}

const noon = '2026-11-22T11:07:12Z';
const newYear = '2027-01-01T00:00:00Z';

const lines: readonly (readonly [DaytimeFormat, string, string])[] = [
  ['rfc867', noon, 'Sunday, November 22, 2026 11:07:12-UTC'],
  ['smtp', noon, '22 NOV 26 11:07:12 UTC'],
  ['ctime', noon, 'Sun Nov 22 11:07:12 2026'],
  ['unix', noon, 'Sun Nov 22 11:07:12 UTC 2026'],
  ['iso8601', noon, '2026-11-22T11:07:12+00:00'],
  ['nist', noon, '61366 26-11-22 11:07:12 00 0 0   0.0 UTC(smallservd) *'],
  ['rfc867', newYear, 'Friday, January 1, 2027 00:00:00-UTC'],
  ['smtp', newYear, '01 JAN 27 00:00:00 UTC'],
  ['ctime', newYear, 'Fri Jan  1 00:00:00 2027'],
  ['unix', newYear, 'Fri Jan  1 00:00:00 UTC 2027'],
  ['iso8601', newYear, '2027-01-01T00:00:00+00:00'],
  ['nist', newYear, '61406 27-01-01 00:00:00 00 0 0   0.0 UTC(smallservd) *'],
];

describe('daytime (RFC 867) sends one line ending in CR LF', () => {
  it.each(lines)('%s at %s over TCP, then closes: %s', async (format, now, line) => {
    const { service } = await create({ format }, now);
    expect(connect(service)).toMatchObject({ text: `${line}\r\n`, ended: true });
  });

  it.each(lines)('%s at %s over UDP, for any datagram: %s', async (format, now, line) => {
    const { service } = await create({ format }, now);
    expect(service.datagram?.(Buffer.alloc(0), 102, nowhere)).toEqual(Buffer.from(`${line}\r\n`));
    expect(service.datagram?.(Buffer.from('when?'), 512, nowhere)).toEqual(Buffer.from(`${line}\r\n`));
  });
});

describe('daytime with a zone', () => {
  it.each([
    ['Asia/Tokyo', '2026-12-31T15:04:05Z', '2027-01-01T00:04:05+09:00'],
    ['Asia/Kathmandu', noon, '2026-11-22T16:52:12+05:45'],
    ['America/St_Johns', noon, '2026-11-22T07:37:12-03:30'],
    ['Europe/Paris', '2026-03-29T00:59:59Z', '2026-03-29T01:59:59+01:00'],
    ['Europe/Paris', '2026-03-29T01:00:00Z', '2026-03-29T03:00:00+02:00'],
    ['Europe/Paris', '2026-10-25T00:59:59Z', '2026-10-25T02:59:59+02:00'],
    ['Europe/Paris', '2026-10-25T01:00:00Z', '2026-10-25T02:00:00+01:00'],
  ])('shows %s at %s as %s', async (zone, now, line) => {
    const { service } = await create({ format: 'iso8601', zone }, now);
    expect(connect(service).text).toBe(`${line}\r\n`);
  });

  it.each([
    ['rfc867', /^Sunday, November 22, 2026 20:07:12-(JST|\+0900)\r\n$/],
    ['smtp', /^22 NOV 26 20:07:12 (JST|\+0900)\r\n$/],
    ['unix', /^Sun Nov 22 20:07:12 (JST|\+0900) 2026\r\n$/],
    ['ctime', /^Sun Nov 22 20:07:12 2026\r\n$/],
  ] as const)('shows the zone in %s by its abbreviation or offset', async (format, line) => {
    const { service } = await create({ format, zone: 'Asia/Tokyo' }, noon);
    expect(connect(service).text).toMatch(line);
  });

  it('defaults to the system time zone', async () => {
    vi.stubEnv('TZ', 'XST-4:30');
    const { service } = await create({ format: 'unix', zone: null }, noon);
    vi.unstubAllEnvs();
    expect(connect(service).text).toBe('Sun Nov 22 15:37:12 XST 2026\r\n');
  });

  it('always uses UTC for nist', async () => {
    const { service } = await create({ format: 'nist', zone: 'Asia/Tokyo' }, noon);
    expect(connect(service).text).toContain(' 26-11-22 11:07:12 ');
  });
});

describe('the nist line', () => {
  it.each([
    ['standard time', '2026-01-15T00:00:00Z', '00'],
    ['daylight time', '2026-07-04T00:00:00Z', '50'],
    ['the days to the change of March', '2026-03-01T00:00:00Z', '58'],
    ['the day of the change of March', '2026-03-08T23:59:59Z', '51'],
    ['the day of the change of November', '2026-11-01T00:00:00Z', '01'],
  ])('contains the US daylight-saving code: %s', async (_name, now, code) => {
    const { service } = await create({ format: 'nist' }, now);
    expect(connect(service).text.split(' ')[3]).toBe(code);
  });

  it('contains health 2 while the clock is not set', async () => {
    const { context, service } = await create({ format: 'nist' }, '1970-01-01T00:00:05Z');
    context.clockSet = false;
    expect(connect(service).text).toBe('40587 70-01-01 00:00:05 00 0 2   0.0 UTC(smallservd) *\r\n');
  });

  it('contains health 3 while the clock is not synchronized, from the next answer on', async () => {
    const { context, service } = await create({ format: 'nist' }, noon);
    const healths = [true, false, true].map((isSynchronized) => {
      context.clockSynchronized = isSynchronized;
      return connect(service).text.split(' ')[5];
    });
    expect(healths).toEqual(['0', '3', '0']);
  });
});

describe('daytime while the clock is not synchronized', () => {
  it('answers by default', async () => {
    const { context, service } = await create({}, noon);
    context.clockSynchronized = false;
    expect(connect(service).text).toBe('Sunday, November 22, 2026 11:07:12-UTC\r\n');
  });

  it.each([
    ['not synchronized', { clockSynchronized: false }],
    ['not set', { clockSet: false }],
  ])('closes TCP without a byte and sends no UDP reply with whenUnsynchronized: silent: %s', async (_name, state) => {
    const { context, service } = await create({ whenUnsynchronized: 'silent' }, noon);
    Object.assign(context, state);
    expect(connect(service)).toMatchObject({ writes: [], ended: true });
    expect(service.datagram?.(Buffer.alloc(0), 512, nowhere)).toBeUndefined();
    Object.assign(context, { clockSynchronized: true, clockSet: true });
    expect(connect(service).text).toBe('Sunday, November 22, 2026 11:07:12-UTC\r\n');
  });
});

describe('daytime', () => {
  it('ignores input', async () => {
    const { service } = await create({}, noon);
    const connection = new FakeConnection(service);
    connection.send('when?');
    connection.finish();
    expect(connection.client).toMatchObject({ text: 'Sunday, November 22, 2026 11:07:12-UTC\r\n', ended: true });
  });

  it('sends no UDP reply if the line does not fit', async () => {
    const { service } = await create({ format: 'smtp' }, noon);
    expect(service.datagram?.(Buffer.alloc(0), 24, nowhere)).toHaveLength(24);
    expect(service.datagram?.(Buffer.alloc(0), 23, nowhere)).toBeUndefined();
  });

  it('caches the line within a second without reusing its buffer', async () => {
    const { context, service } = await create({ format: 'smtp' }, noon);
    const first = service.datagram?.(Buffer.alloc(0), 512, nowhere);
    context.nowMs += 999;
    expect(service.datagram?.(Buffer.alloc(0), 512, nowhere)).toBe(first);
    context.nowMs += 1;
    expect(service.datagram?.(Buffer.alloc(0), 512, nowhere)).toEqual(Buffer.from('22 NOV 26 11:07:13 UTC\r\n'));
    expect(first).toEqual(Buffer.from('22 NOV 26 11:07:12 UTC\r\n'));
  });

  it('follows a clock that is set back', async () => {
    const { context, service } = await create({ format: 'smtp' }, noon);
    connect(service);
    context.nowMs -= 60_000;
    expect(connect(service).text).toBe('22 NOV 26 11:06:12 UTC\r\n');
  });
});
