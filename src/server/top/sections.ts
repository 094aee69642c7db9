import type { Live } from '../admin/live.ts';
import type { Cell } from '../page/cell.ts';
import { logRows, reloadRows } from '../page/event-rows.ts';
import { formatBytes, formatNumber } from '../page/format.ts';
import { processRows } from '../page/process-rows.ts';
import { counterRows, faultRows, sourceRows, turnedAwayRows } from '../page/service-rows.ts';
import type { TopData } from './data.ts';
import { sparkline } from './sparkline.ts';
import { type Column, fitTable } from './table.ts';
import type { Glyphs, Line, Style } from './text.ts';
import type { SortKey, View } from './view.ts';

type Status = Live['status'];
type Row = readonly Cell[];

/** The fewest and the most columns of a chart. */
const chartLeast = 8;
const chartMost = 100;

const gap = 2;

/** No terminal is wider than that, or has more rows. Nobody but an impostor sends more. */
const widest = 500;
const mostRows = 1000;

function left(title: string, rank = 0, most = 24): Column {
  return { title, side: 'left', rank, least: 0, most, isLong: most === widest };
}

/** `least`: what usual values take, so that columns stay where they are. */
function right(title: string, rank = 0, least = 0): Column {
  return { title, side: 'right', rank, least, most: 16, isLong: false };
}

/** Takes what is left of the line. */
function rest(title: string, rank = 0): Column {
  return left(title, rank, widest);
}

const serviceColumns = [
  left('SERVICE'),
  right('CLIENTS', 1),
  right('REQ/S', 0, 6),
  right('IN/S', 3, 8),
  right('OUT/S', 2, 8),
  right('REFUSED', 4),
  right('DROPPED', 5),
];

const turnedAwayColumns = [
  left('SERVICE'),
  left('REFUSED OR DROPPED', 1),
  left('REASON'),
  right('COUNT'),
  rest('MOSTLY', 2),
];

const processColumns = [
  left('PROCESS'),
  left('STATUS', 1),
  right('PID', 3),
  right('MEMORY', 0, 8),
  right('HEAP', 6, 8),
  right('CPU', 0, 5),
  right('LAG', 2, 7),
  right('RESTARTS', 4),
  right('AGE', 5),
];

const sourceColumns = [left('SERVICE'), left('TOP SOURCE', 0, 48), right('CLIENTS')];
const faultColumns = [left('SERVICE'), left('FAULT'), rest('SETTING'), right('INJECTED')];
const logColumns = [left('TIME'), left('LEVEL'), rest('MESSAGE'), rest('FIELDS', 1)];
const reloadColumns = [left('RELOAD'), left('RESULT'), right('TOOK', 1), rest('ERROR', 2)];
const counterColumns = [left('SERVICE'), left('COUNTER', 0, 48), right('COUNT')];

/** The tables, one after the other, without those that are empty. */
export function tables(data: TopData, view: View, width: number, glyphs: Glyphs): readonly (readonly Line[])[] {
  const status = data.statuses.at(-1);
  if (status === undefined) return [];
  const earlier = data.statuses.length > 1 ? data.statuses[0] : undefined;
  const table = (columns: readonly Column[], rows: readonly Row[]): readonly Line[] => {
    const matching = rows.filter((row) => matches(row, view.filter)).slice(0, mostRows);
    if (matching.length === 0) return [];
    const { head, rows: lines } = fitTable(columns, matching, width, glyphs);
    return [head, ...lines];
  };
  const all = [
    serviceTable(data, status, view, width, glyphs),
    table(turnedAwayColumns, turnedAwayRows(status)),
    table(processColumns, processRows(status, earlier)),
    table(sourceColumns, sourceRows(status)),
    table(faultColumns, faultRows(data.faults, status)),
    table(logColumns, logRows(data.log)),
    table(reloadColumns, reloadRows(data.reloads)),
    table(counterColumns, counterRows(status)),
  ];
  return all.filter((lines) => lines.length > 0);
}

/** Each with a chart of its requests. */
function serviceTable(data: TopData, status: Status, view: View, width: number, glyphs: Glyphs): readonly Line[] {
  const named = Object.entries(status.services).filter(([name]) => matches([name], view.filter));
  if (named.length === 0) return [];
  const services = sorted(named, view.sort).slice(0, mostRows);
  const rows = services.map(([name, service]) => serviceCells(name, service, status.listeners));
  const fitted = fitTable(serviceColumns, rows, width - gap - chartLeast, glyphs);
  const chartWidth = Math.min(chartMost, width - gap - fitted.width);
  const withChart = (line: Line, text: string, style: Style): Line => [
    ...line,
    { text: ' '.repeat(gap) },
    { text, style },
  ];
  return [
    withChart(fitted.head, chartWidth < 15 ? '5 MIN' : '5 MIN OF REQ/S', 'bold'),
    ...fitted.rows.map((row, index) => {
      const name = services[index]?.[0] ?? '';
      const samples = data.points.map(({ time, services: of }) => ({ time, value: of.get(name) ?? Number.NaN }));
      return withChart(row, sparkline(samples, chartWidth, glyphs), 'green');
    }),
  ];
}

function serviceCells(name: string, { stream, datagram, rates }: Service, listeners: Status['listeners']): Row {
  const closed = listeners.filter(({ service, isOpen }) => service === name && !isOpen).length;
  return [
    closed === 0 ? name : { text: `${name} (${closed} closed)`, mark: 'bad' },
    formatNumber(stream.active),
    formatNumber(rates?.requests ?? Number.NaN),
    formatBytes(rates?.bytesIn ?? Number.NaN),
    formatBytes(rates?.bytesOut ?? Number.NaN),
    formatNumber(total(stream.refused)),
    formatNumber(total(datagram.dropped)),
  ];
}

type Service = Status['services'][string];

function sorted(services: readonly [string, Service][], sort: SortKey): readonly [string, Service][] {
  if (sort === 'config') return services;
  const value = sortValues[sort];
  return services.toSorted(([, a], [, b]) => value(b) - value(a));
}

const sortValues: Readonly<Record<Exclude<SortKey, 'config'>, (service: Service) => number>> = {
  requests: ({ rates }) => rates?.requests ?? 0,
  clients: ({ stream }) => stream.active,
  bytes: ({ rates }) => (rates?.bytesIn ?? 0) + (rates?.bytesOut ?? 0),
  refusals: ({ stream, datagram }) => total(stream.refused) + total(datagram.dropped),
};

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function matches(row: Row, filter: string): boolean {
  if (filter === '') return true;
  const wanted = filter.toLowerCase();
  return row.some((cell) => (typeof cell === 'string' ? cell : cell.text).toLowerCase().includes(wanted));
}
