import { Counter, Gauge, Registry } from 'prom-client';
import type { Snapshot } from './snapshot.ts';

/** A metric with its name, help text, labels and value in a snapshot. */
export interface Metric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
  readonly values: (snapshot: Snapshot) => Iterable<readonly [value: number, ...labels: readonly string[]]>;
}

/** All metrics, in the order of docs/METRICS.md. */
export const metrics: readonly Metric[] = [
  gauge('build_info', 'Always 1; the versions are in the labels.', ['version', 'node'], ({ version, node }) => [
    [1, version, node],
  ]),
  gauge('start_time_seconds', 'When the daemon was started, in seconds since 1970.', [], ({ startedAt }) => [
    [Date.parse(startedAt) / 1000],
  ]),
  gauge('ready', '1 while all listeners are open and clients are taken, else 0.', [], ({ notReady }) => [
    [notReady.length === 0 ? 1 : 0],
  ]),
  gauge('config_info', 'Always 1; the hash of what the config means is in the label.', ['hash'], ({ config }) => [
    [1, config.hash],
  ]),
  counter('config_reloads_total', 'Attempts to reload the config, by their result.', ['result'], ({ reload }) => [
    [reload.attempts - reload.failures - (reload.isRunning ? 1 : 0), 'success'],
    [reload.failures, 'failure'],
  ]),
  gauge('config_last_reload_successful', '1 unless the last attempt to reload failed.', [], ({ reload }) => [
    [reload.last?.succeeded === false ? 0 : 1],
  ]),
  gauge(
    'config_last_reload_success_timestamp_seconds',
    'When the config in use was loaded, in seconds since 1970.',
    [],
    ({ reload, startedAt }) => [[Date.parse(reload.lastSuccessAt ?? startedAt) / 1000]],
  ),
  gauge('workers', 'Worker processes, by their status.', ['status'], ({ workers }) =>
    ['starting', 'ready', 'waiting', 'resting', 'refused', 'draining'].map((status) => [
      workers.filter((worker) => worker.status === status).length,
      status,
    ]),
  ),
  counter('worker_deaths_total', 'Workers that ended without being told to.', [], ({ workerDeaths }) => [
    [workerDeaths],
  ]),
  gauge(
    'event_loop_lag_seconds',
    'The longest delay of the event loop since the last heartbeat, by process.',
    ['process'],
    (snapshot) => healthOf(snapshot).map(([process, { lagMs }]) => [lagMs / 1000, process]),
  ),
  gauge('resident_memory_bytes', 'Resident memory, by process.', ['process'], (snapshot) =>
    healthOf(snapshot).map(([process, { residentBytes }]) => [residentBytes, process]),
  ),
  gauge('heap_bytes', 'JavaScript heap in use, by process.', ['process'], (snapshot) =>
    healthOf(snapshot).map(([process, { heapBytes }]) => [heapBytes, process]),
  ),
  gauge('listener_open', '1 while the listener is open, else 0.', ['service', 'address'], ({ listeners }) =>
    listeners.map(({ service, address, isOpen }) => [isOpen ? 1 : 0, service, address]),
  ),
  gauge('connections', 'Stream clients that are connected now.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ stream }) => stream.active),
  ),
  counter('connections_accepted_total', 'Stream clients that were let in.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ stream }) => stream.accepted),
  ),
  counter(
    'connections_closed_total',
    'Connections that have ended, by the reason.',
    ['service', 'reason'],
    (snapshot) => byReason(snapshot, ({ stream }) => stream.closed),
  ),
  counter(
    'connections_refused_total',
    'Stream clients that were refused, by the reason.',
    ['service', 'reason'],
    (snapshot) => byReason(snapshot, ({ stream }) => stream.refused),
  ),
  counter(
    'connections_would_refuse_total',
    'Stream clients that only a dry run let in, by the reason.',
    ['service', 'reason'],
    (snapshot) => byReason(snapshot, ({ stream }) => stream.wouldRefuse),
  ),
  counter('stream_received_bytes_total', 'Bytes that stream clients sent.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ stream }) => stream.bytesIn),
  ),
  counter('stream_sent_bytes_total', 'Bytes that were sent to stream clients.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ stream }) => stream.bytesOut),
  ),
  counter('datagrams_received_total', 'Datagrams that arrived.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ datagram }) => datagram.received),
  ),
  counter('datagrams_sent_total', 'Datagrams that were sent in reply.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ datagram }) => datagram.sent),
  ),
  counter('datagrams_dropped_total', 'Datagrams that were dropped, by the reason.', ['service', 'reason'], (snapshot) =>
    byReason(snapshot, ({ datagram }) => datagram.dropped),
  ),
  counter(
    'datagrams_would_drop_total',
    'Datagrams that only a dry run answered, by the reason.',
    ['service', 'reason'],
    (snapshot) => byReason(snapshot, ({ datagram }) => datagram.wouldDrop),
  ),
  counter('datagram_received_bytes_total', 'Bytes of datagrams that arrived.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ datagram }) => datagram.bytesIn),
  ),
  counter('datagram_sent_bytes_total', 'Bytes of datagrams that were sent in reply.', ['service'], (snapshot) =>
    ofServices(snapshot, ({ datagram }) => datagram.bytesOut),
  ),
  counter('log_lines_lost_total', 'Lines of the log that could not be written.', [], ({ lostLogLines }) => [
    [lostLogLines],
  ]),
];

/** The media type of `formatMetrics` output. */
export const metricsType: string = Registry.PROMETHEUS_CONTENT_TYPE;

/** Formats a snapshot in the Prometheus text format. */
export async function formatMetrics(snapshot: Snapshot): Promise<string> {
  const registry = new Registry();
  for (const { name, kind, help, labels, values } of metrics) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    const metric = kind === 'counter' ? new Counter(options) : new Gauge(options);
    for (const [value, ...texts] of values(snapshot)) {
      metric.inc(Object.fromEntries(labels.map((label, index) => [label, texts[index] ?? ''])), value);
    }
  }
  return registry.metrics();
}

type Values = ReturnType<Metric['values']>;

function gauge(name: string, help: string, labels: readonly string[], values: (of: Snapshot) => Values): Metric {
  return { name: `smallservd_${name}`, kind: 'gauge', help, labels, values };
}

function counter(name: string, help: string, labels: readonly string[], values: (of: Snapshot) => Values): Metric {
  return { name: `smallservd_${name}`, kind: 'counter', help, labels, values };
}

type Service = Snapshot['services'][string];

function ofServices({ services }: Snapshot, count: (service: Service) => number): readonly [number, string][] {
  return Object.entries(services).map(([name, service]) => [count(service), name]);
}

function byReason(
  { services }: Snapshot,
  counts: (service: Service) => Readonly<Record<string, number>>,
): readonly [number, string, string][] {
  return Object.entries(services).flatMap(([name, service]) =>
    Object.entries(counts(service)).map(([reason, count]): [number, string, string] => [count, name, reason]),
  );
}

function healthOf({ supervisor, workers }: Snapshot): readonly [process: string, health: Snapshot['supervisor']][] {
  const ofWorkers = workers.flatMap(({ worker, health }): [string, Snapshot['supervisor']][] =>
    health === undefined ? [] : [[`worker ${worker}`, health]],
  );
  return [['supervisor', supervisor], ...ofWorkers];
}
