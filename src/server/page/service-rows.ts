import type { Live } from '../admin/live.ts';
import type { Cell } from './cell.ts';
import { formatBytes, formatCount, formatFields, formatNumber, unknown } from './format.ts';

type Status = Live['status'];
type Service = Status['services'][string];

/** One row for each service. */
export function serviceRows({ services, listeners }: Status): readonly (readonly Cell[])[] {
  return Object.entries(services).map(([name, service]) =>
    serviceCells(
      name,
      service,
      listeners.filter((listener) => listener.service === name),
    ),
  );
}

/** One row for each reason for which a service has refused clients or dropped datagrams. */
export function turnedAwayRows({ services }: Status): readonly (readonly Cell[])[] {
  return Object.entries(services).flatMap(([name, service]) => turnedAwayCells(name, service));
}

/** The sources with the most clients of each service. */
export function sourceRows({ services }: Status): readonly (readonly Cell[])[] {
  return Object.entries(services).flatMap(([name, { topSources }]) =>
    topSources.map(({ source, connections }) => [name, source, formatCount(connections)]),
  );
}

/** One row for each counter that a service has declared. */
export function counterRows({ services }: Status): readonly (readonly Cell[])[] {
  return Object.entries(services).flatMap(([name, { custom = {} }]) =>
    Object.entries(custom).map(([counter, { count }]) => [name, counter, formatCount(count)]),
  );
}

/** One row for each fault that can happen, with how often it has. */
export function faultRows(faults: Live['faults'], status: Status | undefined): readonly (readonly Cell[])[] {
  return Object.entries(faults).flatMap(([name, settings]) =>
    Object.entries(settings).map(([fault, setting]): readonly Cell[] => [
      { text: name, mark: 'warn' },
      fault,
      formatSetting(setting),
      formatCount(injected(status, name, fault)),
    ]),
  );
}

function serviceCells(name: string, service: Service, listeners: Status['listeners']): readonly Cell[] {
  const { stream, datagram, rates } = service;
  const open = listeners.filter(({ isOpen }) => isOpen).length;
  return [
    name,
    { text: `${open} of ${listeners.length} open`, mark: open === listeners.length ? 'good' : 'bad' },
    formatCount(stream.active),
    formatNumber(rates?.requests ?? Number.NaN),
    formatCount(stream.accepted),
    formatCount(datagram.received),
    formatCount(datagram.sent),
    formatBytes(stream.bytesIn + datagram.bytesIn),
    formatBytes(stream.bytesOut + datagram.bytesOut),
    formatCount(sum(stream.refused)),
    formatCount(sum(datagram.dropped)),
    listeners.map(({ address, isOpen }) => (isOpen ? address : `${address} (closed)`)).join('  ') || unknown,
  ];
}

function turnedAwayCells(name: string, { stream, datagram, offenders }: Service): readonly (readonly Cell[])[] {
  const rowsOf = (what: string, counts: Readonly<Record<string, number>>, most: Sources): readonly string[][] =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([reason, count]) => {
        const source = most?.find((each) => each.reason === reason)?.source ?? unknown;
        return [name, what, reason, formatCount(count), source];
      });
  return [
    ...rowsOf('refused', stream.refused, offenders?.refused),
    ...rowsOf('would refuse', stream.wouldRefuse, undefined),
    ...rowsOf('dropped', datagram.dropped, offenders?.dropped),
    ...rowsOf('would drop', datagram.wouldDrop, undefined),
  ];
}

type Sources = readonly { readonly reason: string; readonly source: string }[] | undefined;

/** Names come from anybody, and may be those of what every object inherits. */
function injected(status: Status | undefined, name: string, fault: string): number {
  const service = status !== undefined && Object.hasOwn(status.services, name) ? status.services[name] : undefined;
  if (service === undefined) return Number.NaN;
  const counts: Readonly<Record<string, number>>[] = [service.stream.faults, service.datagram.faults];
  return counts.reduce((total, each) => total + (Object.hasOwn(each, fault) ? (each[fault] ?? 0) : 0), 0);
}

function formatSetting(setting: unknown): string {
  return typeof setting === 'object' && setting !== null
    ? formatFields(setting as Readonly<Record<string, unknown>>)
    : String(setting);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
