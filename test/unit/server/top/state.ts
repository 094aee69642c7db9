import type { PageEvent } from '../../../../src/server/admin/live.ts';
import { noData, type TopData, withEvent } from '../../../../src/server/top/data.ts';
import type { TopState } from '../../../../src/server/top/frame.ts';
import type { Line } from '../../../../src/server/top/text.ts';
import { firstView } from '../../../../src/server/top/view.ts';
import { live } from '../admin/live.ts';
import { snapshot } from '../admin/snapshot.ts';

/** When the last point was. */
export const nowS = 1_800_000_000;

const rates = { requests: 12.5, bytesIn: 2048, bytesOut: 1024, refused: 0, dropped: 4 };
const echo = { ...snapshot().services['echo']!, rates };

export const status = {
  ...live().status,
  services: {
    echo: { ...echo, topSources: [{ source: '192.0.2.7', connections: 2 }] },
    time: { ...echo, rates: { ...rates, requests: 700 }, stream: { ...echo.stream, active: 0 }, topSources: [] },
  },
  listeners: [
    { service: 'echo', address: 'tcp://127.0.0.1:1201', isOpen: true },
    { service: 'time', address: 'udp://127.0.0.1:1237', isOpen: false },
  ],
};

/** The events of a daemon that has run for ten seconds. */
export const events: readonly PageEvent[] = [
  {
    name: 'past',
    value: {
      seconds: {
        times: Array.from({ length: 10 }, (_, index) => nowS - 10 + index),
        values: {
          accepted: Array.from({ length: 10 }, (_, index) => index),
          datagrams: Array.from({ length: 10 }, () => 1),
          'dropped rate': Array.from({ length: 10 }, () => 2),
          'dropped loop': Array.from({ length: 10 }, () => 3),
        },
      },
      minutes: { times: [], values: {} },
      requests: { echo: [1, 2, null, 4], time: Array.from({ length: 10 }, () => 0) },
    },
  },
  { name: 'status', value: status },
  {
    name: 'points',
    value: { second: { time: nowS, values: { accepted: 9, datagrams: 1, clients: 2, bytesIn: 2048 } }, minute: null },
  },
  { name: 'faults', value: { echo: { loss: 0.2 } } },
  { name: 'reloads', value: [{ at: '2026-11-22T11:07:12.000Z', tookMs: 12, error: 'no such file', errors: 2 }] },
  {
    name: 'log',
    value: [{ level: 'warn', time: '2026-11-22T11:07:12.000Z', message: 'client refused', fields: { reason: 'rate' } }],
  },
];

export function after(all: readonly PageEvent[], data: TopData = noData): TopData {
  return all.reduce(withEvent, data);
}

/** A top that shows that daemon, with changes. */
export function topState(changes: Partial<TopState> = {}): TopState {
  return { endpoint: 'tcp://localhost:9013', data: after(events), view: firstView, ...changes };
}

export function textOf(lines: readonly Line[]): string {
  return lines
    .map((line) =>
      line
        .map(({ text }) => text)
        .join('')
        .trimEnd(),
    )
    .join('\n')
    .trimEnd();
}
