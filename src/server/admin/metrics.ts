import { setImmediate } from 'node:timers/promises';
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import { type HandlerTime, handlerTimeBoundsNs } from '../handler-time.ts';
import type { CpuTime, ProcessHealth } from '../process-health.ts';
import type { Snapshot } from './snapshot.ts';

/** A metric with its name, help text, labels and value in a snapshot. */
export interface Metric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly values: (snapshot: Snapshot) => Iterable<readonly [value: number, ...labels: readonly string[]]>;
  /** For a histogram, instead of values. */
  readonly times?: (snapshot: Snapshot) => Iterable<readonly [time: HandlerTime, ...labels: readonly string[]]>;
}

/** All metrics, in the order of docs/METRICS.md. */
export const metrics: readonly Metric[] = [
  metric('build_info', 'Always 1. The versions are in the labels.', ['version', 'node'], ({ version, node }) => [
    [1, version, node],
  ]),
  single('start_time_seconds', 'Start time in seconds since 1970.', ({ startedAt }) => Date.parse(startedAt) / 1000),
  single('ready', '1 if ready to serve, else 0.', ({ notReady }) => (notReady.length === 0 ? 1 : 0)),
  metric('config_info', 'Always 1. The hash of the resolved config is in the label.', ['hash'], ({ config }) => [
    [1, config.hash],
  ]),
  metric('config_reloads_total', 'Config reloads, by result.', ['result'], ({ reload }) => [
    [reload.attempts - reload.failures - (reload.isRunning ? 1 : 0), 'success'],
    [reload.failures, 'failure'],
  ]),
  single('config_last_reload_successful', '1 unless the last reload failed.', ({ reload }) =>
    reload.last?.succeeded === false ? 0 : 1,
  ),
  single(
    'config_last_reload_success_timestamp_seconds',
    'When the running config was loaded, in seconds since 1970.',
    ({ reload, startedAt }) => Date.parse(reload.lastSuccessAt ?? startedAt) / 1000,
  ),
  metric('workers', 'Worker processes, by status.', ['status'], ({ workers }) =>
    ['starting', 'ready', 'waiting', 'resting', 'draining'].map((status) => [
      workers.filter((worker) => worker.status === status).length,
      status,
    ]),
  ),
  single('worker_deaths_total', 'Workers that exited unexpectedly.', ({ workerDeaths }) => workerDeaths),
  ofProcesses(
    'event_loop_lag_seconds',
    'Maximum event loop delay in the last second.',
    Math.max,
    (health) => health.lagMs / 1000,
  ),
  ofProcesses('resident_memory_bytes', 'Resident memory.', add, ({ residentBytes }) => residentBytes),
  ofProcesses('heap_bytes', 'JavaScript heap in use.', add, ({ heapBytes }) => heapBytes),
  metric(
    'process_cpu_seconds_total',
    'CPU time, by process and mode.',
    ['process', 'mode'],
    ({ cpu }): Iterable<[number, string, string]> =>
      cpu === undefined
        ? []
        : [
            ...cpuSeconds(cpu.supervisor, 'supervisor'),
            ...cpu.workers.flatMap((time, slot) => cpuSeconds(time, workerName(slot))),
            ...(cpu.admin === undefined ? [] : cpuSeconds(cpu.admin, 'admin')),
          ],
  ),
  metric('listener_open', '1 if the listener is open, else 0.', ['service', 'address'], ({ listeners }) =>
    // Two inherited sockets may have the same address, but no time series may appear twice. It tells of a closed one.
    new Map(
      listeners
        .toSorted((one, other) => Number(other.isOpen) - Number(one.isOpen))
        .map(({ service, address, isOpen }): [string, [number, string, string]] => [
          `${service} ${address}`,
          [isOpen ? 1 : 0, service, address],
        ]),
    ).values(),
  ),
  ofServices('connections', 'Connected stream clients.', ({ stream }) => stream.active),
  ofServices('connections_accepted_total', 'Stream clients accepted.', ({ stream }) => stream.accepted),
  byReason('connections_closed_total', 'Connections closed, by reason.', ({ stream }) => stream.closed),
  byReason('connections_refused_total', 'Stream clients refused, by reason.', ({ stream }) => stream.refused),
  byReason(
    'connections_would_refuse_total',
    'Stream clients that would have been refused without dryRun, by reason.',
    ({ stream }) => stream.wouldRefuse,
  ),
  metric('faults_total', 'Faults injected on purpose, by kind.', ['service', 'transport', 'fault'], ({ services }) =>
    Object.entries(services).flatMap(([service, { stream, datagram }]) => [
      ...faultsOf(service, 'stream', stream.faults),
      ...faultsOf(service, 'datagram', datagram.faults),
    ]),
  ),
  ofServices('stream_received_bytes_total', 'Bytes received from stream clients.', ({ stream }) => stream.bytesIn),
  ofServices('stream_sent_bytes_total', 'Bytes sent to stream clients.', ({ stream }) => stream.bytesOut),
  ofServices('datagrams_received_total', 'Datagrams received.', ({ datagram }) => datagram.received),
  ofServices('datagrams_sent_total', 'Datagrams sent in reply.', ({ datagram }) => datagram.sent),
  byReason('datagrams_dropped_total', 'Datagrams dropped, by reason.', ({ datagram }) => datagram.dropped),
  byReason(
    'datagrams_would_drop_total',
    'Datagrams that would have been dropped without dryRun, by reason.',
    ({ datagram }) => datagram.wouldDrop,
  ),
  ofServices('datagram_received_bytes_total', 'Bytes received in datagrams.', ({ datagram }) => datagram.bytesIn),
  ofServices('datagram_sent_bytes_total', 'Bytes sent in datagrams.', ({ datagram }) => datagram.bytesOut),
  {
    name: 'smallservd_handler_seconds',
    kind: 'histogram',
    help: 'How long the service took for a connection, a chunk or a datagram. One call in 61 is timed.',
    labels: ['service', 'transport'],
    values: () => [],
    times: ({ services }) =>
      Object.entries(services).flatMap(([service, { handlerTime }]) =>
        Object.entries(handlerTime ?? {}).map(([transport, time]): [HandlerTime, string, string] => [
          time,
          service,
          transport,
        ]),
      ),
  },
  single('log_lines_lost_total', 'Log lines lost.', ({ lostLogLines }) => lostLogLines),
];

/** The media type of `formatMetrics` output. */
export const metricsType: string = Registry.PROMETHEUS_CONTENT_TYPE;

/** Formats a snapshot in the Prometheus text format. */
export async function formatMetrics(snapshot: Snapshot): Promise<string> {
  const families: string[] = [];
  for (const each of [...metrics, ...customMetrics(snapshot)]) {
    const text = await formatFamily(each, snapshot);
    // A histogram of nothing yet has no lines.
    if (text.trim() !== '') families.push(text);
    // With hundreds of services all of them take almost half a second, and others must not wait for that.
    await setImmediate();
  }
  return families.join('\n');
}

async function formatFamily({ name, kind, help, labels, values, times }: Metric, snapshot: Snapshot): Promise<string> {
  const registry = new Registry();
  if (times !== undefined) addHistogram(registry, { name, help, labels, times: times(snapshot) });
  else {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    const collector = kind === 'counter' ? new Counter(options) : new Gauge(options);
    for (const [value, ...texts] of values(snapshot)) {
      collector.inc(Object.fromEntries(labels.map((label, index) => [label, texts[index] ?? ''])), value);
    }
  }
  return await registry.metrics();
}

/** A histogram that somebody else has counted. Services that were not called have none. */
function addHistogram(
  registry: Registry,
  { name, help, labels, times }: Pick<Metric, 'name' | 'help' | 'labels'> & { times: ReturnType<TimesOf> },
): void {
  const values = [...times].flatMap(([{ buckets, sumNs }, ...texts]) => {
    const common = Object.fromEntries(labels.map((label, index) => [label, texts[index] ?? '']));
    let count = 0;
    const cumulative = buckets.map((calls, index) => {
      const boundNs = handlerTimeBoundsNs[index];
      count += calls;
      const le = boundNs === undefined ? '+Inf' : String(boundNs / 1e9);
      return { metricName: `${name}_bucket`, labels: { le, ...common }, value: count };
    });
    if (count === 0) return [];
    return [
      ...cumulative,
      { metricName: `${name}_sum`, labels: common, value: sumNs / 1e9 },
      { metricName: `${name}_count`, labels: common, value: count },
    ];
  });
  const counted = AggregatorRegistry.aggregate([[{ name, help, type: 'histogram', aggregator: 'sum', values }]]);
  const histogram = counted.getSingleMetric(name);
  if (histogram !== undefined) registry.registerMetric(histogram);
}

/** The counters that services declare. If the help texts of two services differ, that of the first is shown. */
function customMetrics({ services }: Snapshot): readonly Metric[] {
  const helps = new Map<string, string>();
  for (const { custom = {} } of Object.values(services))
    for (const [name, { help }] of Object.entries(custom)) if (!helps.has(name)) helps.set(name, help);
  return [...helps].map(([name, help]) =>
    metric(`${customPrefix}${name}_total`, help, ['service'], () =>
      Object.entries(services).flatMap(([service, { custom }]): [number, string][] => {
        const counter = custom?.[name];
        return counter === undefined ? [] : [[counter.count, service]];
      }),
    ),
  );
}

/** No other metric begins with this. */
const customPrefix = 'service_';

type TimesOf = NonNullable<Metric['times']>;

type Service = Snapshot['services'][string];

function metric(name: string, help: string, labels: readonly string[], values: Metric['values']): Metric {
  // By the conventions of Prometheus, the name tells.
  const kind = name.endsWith('_total') ? 'counter' : 'gauge';
  return { name: `smallservd_${name}`, kind, help, labels, values };
}

function single(name: string, help: string, value: (snapshot: Snapshot) => number): Metric {
  return metric(name, help, [], (snapshot) => [[value(snapshot)]]);
}

/** `combine`: what the value of several workers in a slot is. During a reload, there are two. */
function ofProcesses(
  name: string,
  help: string,
  combine: (one: number, other: number) => number,
  value: (health: ProcessHealth) => number,
): Metric {
  return metric(name, help, ['process'], ({ supervisor, workers }): Iterable<[number, string]> => {
    const values = new Map([['supervisor', value(supervisor)]]);
    for (const { slot, health } of workers) {
      if (slot === undefined || health === undefined) continue;
      const process = workerName(slot);
      values.set(process, combine(values.get(process) ?? 0, value(health)));
    }
    return [...values].map(([process, each]) => [each, process]);
  });
}

function add(one: number, other: number): number {
  return one + other;
}

/** The numbers of workers have no end. Those of slots do, and so does what a time series database keeps. */
function workerName(slot: number): string {
  return `worker-${slot + 1}`;
}

function cpuSeconds({ userMs, systemMs }: CpuTime, process: string): readonly [number, string, string][] {
  return [
    [userMs / 1000, process, 'user'],
    [systemMs / 1000, process, 'system'],
  ];
}

function ofServices(name: string, help: string, count: (service: Service) => number): Metric {
  return metric(name, help, ['service'], ({ services }) =>
    Object.entries(services).map(([service, status]) => [count(status), service]),
  );
}

function byReason(name: string, help: string, counts: (service: Service) => Readonly<Record<string, number>>): Metric {
  return metric(name, help, ['service', 'reason'], ({ services }) =>
    Object.entries(services).flatMap(([service, status]) =>
      Object.entries(counts(status)).map(([reason, count]): [number, string, string] => [count, service, reason]),
    ),
  );
}

function faultsOf(
  service: string,
  transport: string,
  faults: Readonly<Record<string, number>>,
): readonly [number, string, string, string][] {
  return Object.entries(faults).map(([fault, count]) => [count, service, transport, fault]);
}
