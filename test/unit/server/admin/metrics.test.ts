import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { formatMetrics, metrics } from '../../../../src/server/admin/metrics.ts';
import { newHandlerTime } from '../../../../src/server/handler-time.ts';
import { read, tableAfter } from '../../../repository/files.ts';
import { finger } from '../../../../src/services/finger.ts';
import { FakeContext } from '../../../support/fake-context.ts';
import { snapshot } from './snapshot.ts';

async function valueOf(sample: string, changes: Parameters<typeof snapshot>[0] = {}): Promise<number | undefined> {
  const line = (await formatMetrics(snapshot(changes))).split('\n').find((each) => each.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

function bucket(le: string): string {
  return `smallservd_handler_seconds_bucket{le="${le}",service="echo",transport="datagram"}`;
}

describe('the values', () => {
  it.each([
    ['smallservd_build_info{version="1.2.3",node="v20.20.2"}', 1],
    ['smallservd_start_time_seconds', 1_795_345_632],
    ['smallservd_ready', 1],
    ['smallservd_workers{status="ready"}', 1],
    ['smallservd_workers{status="waiting"}', 1],
    ['smallservd_workers{status="draining"}', 0],
    ['smallservd_worker_deaths_total', 1],
    ['smallservd_event_loop_lag_seconds{process="supervisor"}', 0.0015],
    ['smallservd_resident_memory_bytes{process="worker-1"}', 67_108_864],
    ['smallservd_listener_open{service="echo",address="tcp://127.0.0.1:1201"}', 1],
    ['smallservd_listener_open{service="echo",address="udp://127.0.0.1:1201"}', 0],
    ['smallservd_connections{service="echo"}', 2],
    ['smallservd_connections_accepted_total{service="echo"}', 7],
    ['smallservd_connections_closed_total{service="echo",reason="completed"}', 5],
    ['smallservd_connections_refused_total{service="echo",reason="rate"}', 3],
    ['smallservd_datagrams_dropped_total{service="echo",reason="source-port"}', 4],
    ['smallservd_config_last_reload_successful', 1],
    ['smallservd_config_last_reload_success_timestamp_seconds', 1_795_345_632],
  ])('%s is %d', async (sample, value) => {
    expect(await valueOf(sample)).toBe(value);
  });

  it('of a draining worker count with those of the worker in its place', async () => {
    const { health, ...worker } = snapshot().workers[0]!;
    const successor = { ...worker, worker: 3, health: { ...health!, lagMs: 1 } };
    const workers = [successor, { ...worker, health, status: 'draining' as const }];
    expect(await valueOf('smallservd_event_loop_lag_seconds{process="worker-1"}', { workers })).toBe(0.002);
    expect(await valueOf('smallservd_resident_memory_bytes{process="worker-1"}', { workers })).toBe(2 ** 27);
  });

  it('of the only process are those of the supervisor', async () => {
    const { slot: _, ...worker } = snapshot().workers[0]!;
    const text = await formatMetrics(snapshot({ workers: [{ ...worker, worker: 0 }] }));
    expect(text.match(/^smallservd_heap_bytes.*$/gm)).toEqual(['smallservd_heap_bytes{process="supervisor"} 9000000']);
  });

  it('report the results of reloads', async () => {
    const last = { succeeded: false, at: '2026-11-22T12:00:00.000Z', tookMs: 9, errors: ['wrong'] };
    const lastSuccessAt = '2026-11-22T11:30:00.000Z';
    const reload = { attempts: 5, failures: 2, isRunning: true, lastSuccessAt, last };
    expect(await valueOf('smallservd_config_reloads_total{result="success"}', { reload })).toBe(2);
    expect(await valueOf('smallservd_config_reloads_total{result="failure"}', { reload })).toBe(2);
    expect(await valueOf('smallservd_config_last_reload_successful', { reload })).toBe(0);
    expect(await valueOf('smallservd_config_last_reload_success_timestamp_seconds', { reload })).toBe(1_795_347_000);
  });

  it('are not broken by special characters in a label', async () => {
    const listeners = [{ service: 'a', address: 'unix:///run/"quoted"\\\n{x}', isOpen: true }];
    const text = await formatMetrics(snapshot({ listeners }));
    expect(text).toContain('smallservd_listener_open{service="a",address="unix:///run/\\"quoted\\"\\\\\\n{x}"} 1\n');
  });
});

it('has a time series once if two listeners have the same address', async () => {
  const listener = { service: 'a', address: 'tcp://127.0.0.1:7' };
  const listeners = [
    { ...listener, isOpen: false },
    { ...listener, isOpen: true },
  ];
  const text = await formatMetrics(snapshot({ listeners }));
  expect(text.match(/^smallservd_listener_open.*$/gm)).toEqual([
    'smallservd_listener_open{service="a",address="tcp://127.0.0.1:7"} 0',
  ]);
});

it('lets others run while it is made', async () => {
  let isMade = false;
  const make = async (): Promise<void> => {
    await formatMetrics(snapshot());
    isMade = true;
  };
  const made = make();
  for (let turn = 0; turn < 5; turn += 1) {
    await setImmediate();
    expect(isMade).toBe(false);
  }
  await made;
});

describe('the CPU time', () => {
  const supervisor = { userMs: 1500, systemMs: 250 };
  const cpu = { supervisor, workers: [supervisor, { userMs: 1, systemMs: 0 }] };

  it.each([
    ['process="supervisor",mode="user"', 1.5],
    ['process="worker-1",mode="system"', 0.25],
    ['process="worker-2",mode="user"', 0.001],
    ['process="admin",mode="user"', undefined],
  ])('of %s is %d seconds', async (labels, seconds) => {
    expect(await valueOf(`smallservd_process_cpu_seconds_total{${labels}}`, { cpu })).toBe(seconds);
  });

  it('includes the admin endpoint if that is a process', async () => {
    const withAdmin = { ...cpu, admin: { userMs: 7, systemMs: 0 } };
    const sample = 'smallservd_process_cpu_seconds_total{process="admin",mode="user"}';
    expect(await valueOf(sample, { cpu: withAdmin })).toBe(0.007);
  });
});

it('a histogram has cumulative buckets, and none for what was never called', async () => {
  const { echo } = snapshot().services;
  const handlerTime = { stream: newHandlerTime(), datagram: newHandlerTime() };
  handlerTime.datagram.buckets[1] = 2;
  handlerTime.datagram.buckets[19] = 1;
  handlerTime.datagram.sumNs = 2_000_003_000;
  const text = await formatMetrics(snapshot({ services: { echo: { ...echo!, handlerTime } } }));
  const lines = text.split('\n').filter((line) => line.includes('smallservd_handler_seconds'));
  expect(lines[1]).toBe('# TYPE smallservd_handler_seconds histogram');
  expect(lines.slice(2, 4)).toEqual([`${bucket('0.000001')} 0`, `${bucket('0.000002')} 2`]);
  expect(lines.slice(-4)).toEqual([
    `${bucket('1')} 2`,
    `${bucket('+Inf')} 3`,
    'smallservd_handler_seconds_sum{service="echo",transport="datagram"} 2.000003',
    'smallservd_handler_seconds_count{service="echo",transport="datagram"} 3',
  ]);
});

describe('the counters of services', () => {
  const { echo } = snapshot().services;
  const services = {
    one: { ...echo!, custom: { hits: { help: 'Hits \\ of one.', count: 3 } } },
    two: { ...echo!, custom: { hits: { help: 'Of two.', count: 4 }, misses: { help: 'Misses.', count: 0 } } },
    three: echo!,
  };

  it('are metrics with the service as the only label', async () => {
    const text = await formatMetrics(snapshot({ services }));
    expect(text.slice(text.indexOf('# HELP smallservd_service_'))).toBe(`\
# HELP smallservd_service_hits_total Hits \\\\ of one.
# TYPE smallservd_service_hits_total counter
smallservd_service_hits_total{service="one"} 3
smallservd_service_hits_total{service="two"} 4

# HELP smallservd_service_misses_total Misses.
# TYPE smallservd_service_misses_total counter
smallservd_service_misses_total{service="two"} 0
`);
  });

  it('cannot have the name of another metric', () => {
    expect(metrics.filter(({ name }) => name.startsWith('smallservd_service_'))).toEqual([]);
  });
});

describe('the metrics', () => {
  it.each(metrics.map(({ name, kind, help, labels }) => [name, kind, help, labels] as const))(
    '%s follows the Prometheus naming conventions',
    (name, kind, help, labels) => {
      expect(name).toMatch(/^smallservd(_[a-z]+)+$/);
      expect(name.endsWith('_total')).toBe(kind === 'counter');
      // Base units, written out, and before _total.
      expect(name).not.toMatch(
        /_(ms|millis\w*|kib|mib|kb|mb|minutes|hours|percent|microseconds|count|sum|bucket)(_|$)/,
      );
      if (/(seconds|bytes)/.test(name)) expect(name).toMatch(/_(seconds|bytes)(_total)?$/);
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
      expect(help).toMatch(/\.$/);
    },
  );

  it('have unique names', () => {
    expect(new Set(metrics.map(({ name }) => name)).size).toBe(metrics.length);
  });

  it('match docs/METRICS.md in kind, labels, help and order', () => {
    const rows = metrics.map(({ name, kind, labels, help }) => [name, kind, labels.join(', ') || '–', help]);
    expect(tableAfter(read('docs/METRICS.md'), '# Metrics')).toEqual(rows);
  });

  it('include those of finger in docs/METRICS.md', async () => {
    const context = new FakeContext();
    await finger.create({ show: 'refuse', plans: null }, context);
    const rows = Object.entries(context.counters.counts).map(([name, { help }]) => [
      `smallservd_service_${name}_total`,
      'finger',
      help,
    ]);
    expect(tableAfter(read('docs/METRICS.md'), '## Counters of services')).toEqual(rows);
  });
});
