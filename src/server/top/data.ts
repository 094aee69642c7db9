import type { HistoryPoint } from '../admin/history.ts';
import type { Live, PageEvent, Past } from '../admin/live.ts';
import { spanS } from './sparkline.ts';

/** What is charted of the daemon: rates, and how many clients there are. NaN if unknown. */
export interface Totals {
  readonly requests: number;
  readonly clients: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly refused: number;
  readonly dropped: number;
}

/** What happened in a second. */
interface Point {
  /** Seconds since 1970. */
  readonly time: number;
  readonly totals: Totals;
  /** Requests a second by service. Services of which nothing is known are left out. */
  readonly services: ReadonlyMap<string, number>;
}

/** All that the daemon has told. It is never changed, so that whoever pauses keeps it. */
export interface TopData {
  /** The last ones of the same daemon, oldest first. */
  readonly statuses: readonly Live['status'][];
  /** Oldest first. */
  readonly points: readonly Point[];
  readonly faults: Live['faults'];
  readonly reloads: Live['reloads'];
  readonly log: Live['log'];
}

export const noData: TopData = { statuses: [], points: [], faults: {}, reloads: [], log: [] };

/** CPU time is taken over two seconds: workers report once a second, so one second may have no report, or two. */
const statusesKept = 3;

/** Services beyond are not charted: whatever answers, this takes a bounded amount of memory. */
const servicesCharted = 64;

/** A daemon has about a hundred series. What an impostor sends beyond costs no time. */
const seriesRead = 256;

/** The data after an event. */
export function withEvent(data: TopData, { name, value }: PageEvent): TopData {
  switch (name) {
    case 'past':
      return { ...data, points: withPast(data.points, value) };
    case 'points':
      return value.second === null ? data : { ...data, points: withPoint(data, value.second) };
    case 'status': {
      const same = data.statuses.filter(({ pid, startedAt }) => pid === value.pid && startedAt === value.startedAt);
      return { ...data, statuses: [...same, value].slice(-statusesKept) };
    }
    default:
      return { ...data, [name]: value };
  }
}

/** Replaces all points since the first of these. What is older came from a daemon that ran before. */
function withPast(points: readonly Point[], { seconds, requests }: Past): readonly Point[] {
  const { times, values } = seconds;
  const from = Math.max(0, times.length - spanS);
  const recent = times.slice(from);
  const series = Object.entries(values).slice(0, seriesRead);
  const counted = Object.entries(requests).slice(0, servicesCharted);
  const past = recent.map((time, index): Point => {
    const at = from + index;
    const known = series.flatMap(([name, all]) => {
      const value = all[at];
      return typeof value === 'number' ? [[name, value] as const] : [];
    });
    const services = counted.flatMap(([name, all]) => {
      // The last value belongs to the last time.
      const value = all[all.length - times.length + at];
      return typeof value === 'number' ? [[name, value] as const] : [];
    });
    return { time, totals: totalsOf(Object.fromEntries(known)), services: new Map(services) };
  });
  const [first = Number.POSITIVE_INFINITY] = recent;
  return latest([...points.filter(({ time }) => time < first), ...past]);
}

function withPoint({ points, statuses }: TopData, { time, values }: HistoryPoint): readonly Point[] {
  const services = Object.entries(statuses.at(-1)?.services ?? {}).slice(0, servicesCharted);
  const point = {
    time,
    totals: totalsOf(values),
    services: new Map(services.flatMap(([name, { rates }]) => (rates === undefined ? [] : [[name, rates.requests]]))),
  };
  // If the daemon's clock has been set back, later points would have no end.
  return latest([...points.filter((each) => each.time < time), point]);
}

function latest(points: readonly Point[]): readonly Point[] {
  const now = points.at(-1)?.time ?? 0;
  return points.slice(-spanS).filter(({ time }) => time > now - spanS);
}

function totalsOf(values: Readonly<Record<string, number>>): Totals {
  const value = (name: string): number => values[name] ?? Number.NaN;
  const sum = (start: string): number => {
    const all = Object.entries(values).filter(([name]) => name.startsWith(start));
    return all.reduce((total, [, each]) => total + each, all.length === 0 ? Number.NaN : 0);
  };
  return {
    requests: value('accepted') + value('datagrams'),
    clients: value('clients'),
    bytesIn: value('bytesIn'),
    bytesOut: value('bytesOut'),
    refused: sum('refused '),
    dropped: sum('dropped '),
  };
}
