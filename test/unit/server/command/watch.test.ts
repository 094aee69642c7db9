import { expect, it, test } from 'vitest';
import { readPeriod, watch, WatchRows } from '../../../../src/server/command/watch.ts';
import type { Snapshot } from '../../../../src/server/admin/snapshot.ts';
import { SmallservdError } from '../../../../src/errors.ts';
import { snapshot } from '../admin/snapshot.ts';

const head = '    time clients    req/s      in/s     out/s  ref/s  drop/s\n';
const rates = { requests: 12.5, bytesIn: 2048, bytesOut: 1024, refused: 0.5, dropped: 4 };

function busy(changes: Partial<Snapshot> = {}, accepted = 0): Snapshot {
  const { echo } = snapshot().services;
  const stream = { ...echo!.stream, accepted };
  return snapshot({ services: { echo: { ...echo!, stream, rates } }, ...changes });
}

function rows(periodMs: number): WatchRows {
  return new WatchRows(periodMs, () => new Date(2026, 10, 22, 11, 7, 12));
}

it('prints a line for each snapshot, within 60 columns', () => {
  const watching = rows(1000);
  expect(watching.next(busy())).toBe(`${head}11:07:12       2     12.5     2 KiB     1 KiB    0.5       4\n`);
  expect(watching.next(snapshot())).toBe('11:07:12       2        –         –         –      –       –\n');
  const more = Array.from({ length: 19 }, () => watching.next(busy()));
  expect(more.map((lines) => lines.includes(head))).toEqual([...Array.from({ length: 18 }, () => false), true]);
});

it('takes rates over a longer interval', () => {
  const watching = rows(10_000);
  watching.next(busy({ upMs: 0 }));
  expect(watching.next(busy({ upMs: 10_000 }, 50))).toBe(
    '11:07:12       2        5       0 B       0 B      0       0\n',
  );
  // The counters of another daemon are others.
  expect(watching.next(busy({ upMs: 10_000, startedAt: 'later' }, 100))).toContain(' 12.5 ');
});

it('says once what has become of the daemon', () => {
  const watching = rows(1000);
  watching.next(busy());
  expect(watching.lost('no daemon\nanswers')).toBe('11:07:12 no daemon\\u000aanswers\n');
  expect(watching.lost('no daemon\nanswers')).toBe('');
  expect(watching.next(busy({ notReady: ['draining'] }))).toMatch(/^11:07:12 not ready: draining\n11:07:12 .* 12\.5 /);
  expect(watching.next(busy())).toMatch(/^11:07:12 ready\n/);
});

it('ends if no daemon answers at first', async () => {
  const client = {
    snapshot: async (): Promise<Snapshot> => {
      throw new SmallservdError('ADMIN_UNREACHABLE', 'nobody');
    },
  };
  await expect(watch(client, 1000, false, () => {})).rejects.toThrow('nobody');
});

test.each([
  [true, 1000],
  ['5s', 5000],
] as const)('reads the interval %s', (text, ms) => {
  expect(readPeriod(text)).toBe(ms);
});

test.each(['5', '999ms', '25h', 'x'])('refuses the interval %s', (text) => {
  expect(() => readPeriod(text)).toThrow(`--watch: "${text}" is not a duration with a unit, such as 5s (1s to 24h)`);
});
