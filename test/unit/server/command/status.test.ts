import { expect, it } from 'vitest';
import { formatStatus } from '../../../../src/server/command/status.ts';
import { snapshot } from '../admin/snapshot.ts';

it('prints the daemon, its workers and its services', () => {
  expect(formatStatus(snapshot())).toMatchInlineSnapshot(`
    "smallservd 1.2.3, process 4711, up 1h 2m: ready
    Node v20.20.2, never reloaded
    config /etc/smallservd.yaml (0123456789ab)

    worker  status   process  memory  lag
    ──────  ───────  ───────  ──────  ──────
    1       ready    4712     64 MiB  2.0 ms
    2       waiting  –        –       –

    service  clients  requests/s  received/s  sent/s
    ───────  ───────  ──────────  ──────────  ──────
    echo     2        –           –           –

    service  accepted  refused  datagrams  replies  dropped
    ───────  ────────  ───────  ─────────  ───────  ───────
    echo     7         3        11         0        4

    service  listens on
    ───────  ──────────────────────────────────────────────────
    echo     tcp://127.0.0.1:1201 udp://127.0.0.1:1201 (closed)

    service  turned away           count  mostly
    ───────  ────────────────────  ─────  ──────
    echo     refused: rate         3      –
    echo     dropped: source-port  4      –

    service  top source  clients
    ───────  ──────────  ───────
    echo     192.0.2.7   2
    "
  `);
});

it('fits 60 columns', () => {
  const { services, listeners } = snapshot();
  const rates = { requests: 12_345, bytesIn: 999 * 2 ** 20, bytesOut: 12.5 * 2 ** 20, refused: 1, dropped: 1 };
  const topSources = [{ source: '2001:db8:1234:5678::/64', connections: 1000 }];
  const busy = { ...services['echo']!, rates, topSources };
  const all = listeners.flatMap((each) => [each, { ...each, address: 'tcp://[2001:db8:1234:5678::1]:1201' }]);
  const text = formatStatus(snapshot({ services: { echo: busy, discard: busy }, listeners: all }));
  expect(text.split('\n').filter((line) => line.length > 60)).toEqual([]);
  expect(text).toContain('echo     2        12,345      999 MiB     12.5 MiB\n');
  expect(text).toContain('         udp://127.0.0.1:1201 (closed)\n');
  expect(text).toContain('discard  2001:db8:1234:5678::/64  1000\n');
});

it('prints why the daemon is not ready and how the last reload went', () => {
  const last = { succeeded: false, at: '2026-11-22T11:07:13.000Z', agoMs: 5000, tookMs: 5, errors: ['one', 'two'] };
  const reload = { attempts: 3, failures: 1, isRunning: false, lastSuccessAt: null, last };
  const text = formatStatus(snapshot({ upMs: 6000, notReady: ['starting'], reload }));
  expect(text).toContain('up 6s: NOT READY: starting\n');
  expect(text).toContain(', 3 reloads, 1 failed\n');
  expect(text).toContain('\nlast reload 5s ago FAILED: one; two\n');
});

it('escapes line breaks in values from the daemon', () => {
  const listeners = [{ service: 'echo', address: 'tcp://[::1]:7\necho  0', isOpen: true }];
  const notReady = ['starting\nall is well'];
  const text = formatStatus(snapshot({ notReady, listeners }));
  expect(text.split('\n')).toHaveLength(formatStatus(snapshot()).split('\n').length);
  expect(text).toContain('starting\\u000aall is well\n');
  expect(text).toContain('tcp://[::1]:7\\u000aecho  0\n');
});

it('does not pad every row to the width of a single long cell', () => {
  const [state] = snapshot().workers;
  const workers = Array.from({ length: 150_000 }, (_, worker) => ({ ...state!, worker }));
  const listeners = [{ service: 'echo', address: 'x'.repeat(2 ** 20), isOpen: true }];
  const { services } = snapshot();
  const text = formatStatus(snapshot({ workers, listeners, services: { ...services, time: services['echo']! } }));
  expect(text.length).toBeLessThan(10_000_000);
});

it('prints the times of a daemon that does not say how long ago they were', () => {
  const last = { succeeded: true, at: '2026-11-22T11:07:13.000Z', tookMs: 5, errors: [] };
  const reload = { attempts: 1, failures: 0, isRunning: false, lastSuccessAt: last.at, last };
  const text = formatStatus(snapshot({ upMs: undefined, reload }));
  expect(text).toContain(', started 2026-11-22T11:07:12.000Z: ready\n');
  expect(text).toContain('\nlast reload at 2026-11-22T11:07:13.000Z succeeded\n');
});

it('prints what services count themselves', () => {
  const { services } = snapshot();
  const custom = { hits: { help: 'Hits.', count: 3 }, misses: { help: 'Misses.', count: 0 } };
  expect(formatStatus(snapshot({ services: { echo: { ...services['echo']!, custom } } }))).toContain(`
service  counter  count
───────  ───────  ─────
echo     hits     3
echo     misses   0
`);
});

it('names whoever is turned away most often', () => {
  const { services } = snapshot();
  const offenders = {
    refused: [{ reason: 'rate', source: '192.0.2.7', count: 4 }],
    dropped: [{ reason: 'source-port', source: 'port 7', count: 2 }],
  };
  expect(formatStatus(snapshot({ services: { echo: { ...services['echo']!, offenders } } }))).toContain(`
service  turned away           count  mostly
───────  ────────────────────  ─────  ─────────
echo     refused: rate         3      192.0.2.7
echo     dropped: source-port  4      port 7
`);
});
