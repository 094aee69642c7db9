import { formatBytes, formatNumber, formatSpan, unknown } from '../page/format.ts';
import type { ServiceStatus, Snapshot } from '../admin/snapshot.ts';
import { nonZero } from '../counters.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { escapeToOneLine, formatJson } from '../../terminal-text.ts';
import { countOf } from '../../units.ts';
import { type AdminOptions, adminClient } from './admin.ts';
import { formatTable } from './table.ts';
import { readPeriod, watch } from './watch.ts';

export interface StatusOptions extends AdminOptions {
  readonly json?: true;
  /** A duration; true: the default. */
  readonly watch?: true | string;
}

/**
 * `smallservd status`: 0 if ready, else 1. With `watch` it does not end. Rejects with `ADMIN_UNREACHABLE` and
 * `ARGUMENT_INVALID`.
 */
export async function status(options: StatusOptions, print: (text: string) => void): Promise<ExitCode> {
  const periodMs = options.watch === undefined ? undefined : readPeriod(options.watch);
  const client = await adminClient(options);
  if (periodMs !== undefined) return watch(client, periodMs, options.json === true, print);
  const snapshot = await client.snapshot();
  print(options.json ? formatJson(snapshot) : formatStatus(snapshot));
  return snapshot.notReady.length === 0 ? exitCodes.stopped : exitCodes.failed;
}

/** The width that the tables are made for. Only long names and addresses take more. */
const columns = 60;

type Rows = readonly (readonly string[])[];

/** Formats the daemon's status for a terminal. All durations are the daemon's own: clocks may differ, or be set. */
export function formatStatus(snapshot: Snapshot): string {
  const services = Object.entries(snapshot.services);
  const tables: readonly (readonly [head: readonly string[], rows: Rows, isAlways?: true])[] = [
    [['worker', 'status', 'process', 'memory', 'lag'], snapshot.workers.map(workerCells), true],
    [['service', 'clients', 'requests/s', 'received/s', 'sent/s'], services.map(rateCells), true],
    [['service', 'accepted', 'refused', 'datagrams', 'replies', 'dropped'], services.map(totalCells), true],
    [['service', 'listens on'], services.flatMap(([name]) => listenerRows(name, snapshot.listeners)), true],
    [['service', 'turned away', 'count', 'mostly'], services.flatMap(turnedAwayRows)],
    [['service', 'top source', 'clients'], services.flatMap(sourceRows)],
    [['service', 'counter', 'count'], services.flatMap(counterRows)],
  ];
  return [
    describeDaemon(snapshot)
      .map((line) => `${escapeToOneLine(line)}\n`)
      .join(''),
    ...tables
      .filter(([, rows, isAlways]) => isAlways || rows.length > 0)
      .map(([head, rows]) => formatTable(head, rows)),
  ].join('\n');
}

function describeDaemon({
  version,
  node,
  pid,
  startedAt,
  upMs,
  notReady,
  config,
  reload,
}: Snapshot): readonly string[] {
  const health = notReady.length === 0 ? 'ready' : `NOT READY: ${notReady.join('; ')}`;
  const up = upMs === undefined ? `started ${startedAt}` : `up ${formatSpan(upMs)}`;
  const { attempts, failures, isRunning, last } = reload;
  return [
    `smallservd ${version}, process ${pid}, ${up}: ${health}`,
    `Node ${node}, ${attempts === 0 ? 'never reloaded' : `${countOf(attempts, 'reload')}, ${failures} failed`}`,
    `config ${config.name} (${config.hash})`,
    ...(isRunning ? ['reloading now'] : describeReload(last)),
  ];
}

function describeReload(last: Snapshot['reload']['last']): readonly string[] {
  if (last === null) return [];
  const when = last.agoMs === undefined ? `at ${last.at}` : `${formatSpan(last.agoMs)} ago`;
  return [`last reload ${when} ${last.succeeded ? 'succeeded' : `FAILED: ${last.errors.join('; ')}`}`];
}

function workerCells({ worker, status: condition, pid, health }: Snapshot['workers'][number]): readonly string[] {
  return [
    String(worker),
    condition,
    pid === undefined ? unknown : String(pid),
    health === undefined ? unknown : `${Math.round(health.residentBytes / 2 ** 20)} MiB`,
    health === undefined ? unknown : `${health.lagMs.toFixed(1)} ms`,
  ];
}

type NamedService = readonly [name: string, service: ServiceStatus];

function rateCells([name, { stream, rates }]: NamedService): readonly string[] {
  const shown = rates && [formatNumber(rates.requests), formatBytes(rates.bytesIn), formatBytes(rates.bytesOut)];
  return [name, String(stream.active), ...(shown ?? [unknown, unknown, unknown])];
}

function totalCells([name, { stream, datagram }]: NamedService): readonly string[] {
  const totals = [stream.accepted, sum(stream.refused), datagram.received, datagram.sent, sum(datagram.dropped)];
  return [name, ...totals.map(String)];
}

/** As many addresses in a row as there is room for. */
function listenerRows(service: string, listeners: Snapshot['listeners']): Rows {
  const rows: string[] = [];
  const width = columns - Math.max(service.length, 'service'.length) - 2;
  for (const { address, isOpen } of listeners.filter((each) => each.service === service)) {
    const text = isOpen ? address : `${address} (closed)`;
    const row = rows.at(-1);
    if (row !== undefined && row.length + 1 + text.length <= width) rows[rows.length - 1] = `${row} ${text}`;
    else rows.push(text);
  }
  return (rows.length === 0 ? [unknown] : rows).map((row, index) => [index === 0 ? service : '', row]);
}

/** One row for each reason, with the source or port that has been turned away most often lately. */
function turnedAwayRows([name, { stream, datagram, offenders }]: NamedService): Rows {
  const rowsOf = (what: string, counts: Readonly<Record<string, number>>, most: Offenders = []): Rows =>
    Object.entries(nonZero(counts)).map(([reason, count]) => [
      name,
      `${what}: ${reason}`,
      String(count),
      most.find((each) => each.reason === reason)?.source ?? unknown,
    ]);
  return [
    ...rowsOf('refused', stream.refused, offenders?.refused),
    ...rowsOf('would refuse', stream.wouldRefuse),
    ...rowsOf('dropped', datagram.dropped, offenders?.dropped),
    ...rowsOf('would drop', datagram.wouldDrop),
  ];
}

type Offenders = readonly { readonly reason: string; readonly source: string }[];

function sourceRows([name, { topSources }]: NamedService): Rows {
  return topSources.slice(0, 3).map(({ source, connections }) => [name, source, String(connections)]);
}

function counterRows([name, { custom = {} }]: NamedService): Rows {
  return Object.entries(custom).map(([counter, { count }]) => [name, counter, String(count)]);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
