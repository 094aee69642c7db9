import { formatBytes, formatNumber, formatSpan, formatTime } from '../page/format.ts';
import type { Live } from '../admin/live.ts';
import type { TopData, Totals } from './data.ts';
import { tables } from './sections.ts';
import { sparkline } from './sparkline.ts';
import { fitLine, type Glyphs, type Line, lineWidth, padded, shown, type Span } from './text.ts';
import type { Extent, View } from './view.ts';

type Status = Live['status'];

/** A terminal with less shows nothing but that. */
export const leastColumns = 60;
const leastRows = 10;

/** Why there is no connection. */
interface Lost {
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  readonly reason: string;
}

/** All that a frame shows. */
export interface TopState {
  /** The address of the endpoint. */
  readonly endpoint: string;
  readonly data: TopData;
  readonly view: View;
  /** Undefined while there is a connection. */
  readonly lost?: Lost | undefined;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Frame {
  /** As many as there are rows. None is wider than the terminal. */
  readonly lines: readonly Line[];
  readonly extent: Extent;
}

const gap = '  ';

const charts: readonly (readonly [string, keyof Totals, (value: number) => string])[] = [
  ['requests/s', 'requests', formatNumber],
  ['clients', 'clients', formatNumber],
  ['received/s', 'bytesIn', formatBytes],
  ['sent/s', 'bytesOut', formatBytes],
  ['refused/s', 'refused', formatNumber],
  ['dropped/s', 'dropped', formatNumber],
];

const helpLines = [
  'q           quit',
  's           sort: config, requests, clients, bytes, refusals',
  'p           pause, resume',
  '/           show only rows with a text; Esc shows all',
  'Up Down     scroll; PgUp PgDn by a page, Home End',
  'Left Right  previous or next table',
  'Ctrl-L      redraw; Ctrl-Z suspends',
  'Charts: the last 5 minutes, each relative to its maximum.',
  'Counts: since the start of the daemon. Any key closes help.',
];
const help = helpLines.map((text): Line => [{ text }]);

/** What a terminal of this size shows. */
export function renderFrame(state: TopState, { columns, rows }: Size, glyphs: Glyphs): Frame {
  if (columns < leastColumns || rows < leastRows) {
    const text = `needs ${leastColumns} columns and ${leastRows} rows, has ${columns} and ${rows}`;
    return renderText(text, { columns, rows }, glyphs);
  }
  const head = [...header(state, columns, glyphs), ...overview(state.data, columns, glyphs), []];
  const page = rows - head.length - 1;
  const { lines, starts } = joined(tables(state.data, state.view, columns, glyphs));
  const from = Math.min(state.view.scroll, Math.max(0, lines.length - page));
  const extent = { lines: lines.length, page, starts };
  const top = state.view.showsHelp ? help : [...head, ...lines.slice(from, from + page)];
  const all = [...filled(top, rows - 1), footer(state.view, extent, from, columns, glyphs)];
  return { lines: all.map((line) => faded(fitLine(line, columns, glyphs), state)), extent };
}

/** A frame with nothing but a line of text. */
export function renderText(text: string, { columns, rows }: Size, glyphs: Glyphs): Frame {
  const lines = filled([[{ text: shown(text, columns, glyphs) }]], rows);
  return { lines, extent: { lines: 0, page: 1, starts: [] } };
}

/** The complete frame, for a file or a pipe. */
export function renderAll(state: TopState, columns: number, glyphs: Glyphs): readonly Line[] {
  const body = joined(tables(state.data, state.view, columns, glyphs)).lines;
  const lines = [...header(state, columns, glyphs), ...overview(state.data, columns, glyphs), [], ...body];
  return lines.map((line) => fitLine(line, columns, glyphs));
}

function filled(lines: readonly Line[], rows: number): readonly Line[] {
  return Array.from({ length: Math.max(0, rows) }, (_, index) => lines[index] ?? []);
}

function joined(all: readonly (readonly Line[])[]): { lines: readonly Line[]; starts: readonly number[] } {
  const lines: Line[] = [];
  const starts: number[] = [];
  for (const table of all) {
    if (lines.length > 0) lines.push([]);
    starts.push(lines.length);
    lines.push(...table);
  }
  return { lines, starts };
}

/** Nobody knows how the daemon is now. */
function faded(line: Line, { lost }: TopState): Line {
  return lost === undefined
    ? line
    : line.map(({ text, style }) => ({ text, style: style === 'inverse' ? style : 'dim' }));
}

function header(state: TopState, columns: number, glyphs: Glyphs): readonly Line[] {
  const status = state.data.statuses.at(-1);
  if (status === undefined) return [[{ text: 'smallservd' }], [linkSpan(state, columns, glyphs)]];
  const { version, state: condition, notReady, upMs, startedAt } = status;
  const isReady = notReady.length === 0;
  const up = upMs === undefined ? `since ${formatTime(startedAt)}` : `up ${formatSpan(upMs)}`;
  const start: Line = [
    { text: shown(`smallservd ${version}`, 30, glyphs), style: 'bold' },
    { text: gap },
    isReady ? { text: condition, style: 'green' } : { text: 'not ready', style: 'red' },
    { text: `${gap}${shown(up, 24, glyphs)}` },
    ...(state.view.isPaused ? [{ text: gap }, { text: 'PAUSED', style: 'inverse' } as const] : []),
  ];
  return [withEnd(start, state.endpoint, columns, glyphs), secondLine(state, status, columns, glyphs)];
}

function secondLine(state: TopState, status: Status, columns: number, glyphs: Glyphs): Line {
  const { notReady, pid, config, clock, lostLogLines } = status;
  if (state.lost !== undefined) return [linkSpan(state, columns, glyphs)];
  if (notReady.length > 0) return [{ text: shown(`not ready: ${notReady.join('; ')}`, columns, glyphs), style: 'red' }];
  const warnings = [
    clock.isSet ? '' : 'clock not set, ',
    clock.isSet && clock.isSynchronized === false ? 'clock not synchronized, ' : '',
    lostLogLines > 0 ? `${lostLogLines} log lines lost, ` : '',
  ].join('');
  return [
    { text: `process ${pid}, ` },
    { text: warnings, style: 'yellow' },
    { text: shown(`config ${config.name} (${config.hash})`, columns, glyphs) },
  ];
}

function linkSpan({ lost }: TopState, columns: number, glyphs: Glyphs): Span {
  if (lost === undefined) return { text: 'connecting' };
  const text = `disconnected at ${formatTime(lost.sinceMs)}, reconnecting: ${lost.reason}`;
  return { text: shown(text, columns, glyphs), style: 'inverse' };
}

/** Puts a text at the right end of a line, if there is room. */
function withEnd(line: Line, end: string, columns: number, glyphs: Glyphs): Line {
  const room = columns - lineWidth(line) - gap.length;
  return room < Math.min(12, end.length)
    ? line
    : [...line, { text: gap + padded(shown(end, room, glyphs), room, 'right') }];
}

/** Two charts a line. */
function overview({ points }: TopData, columns: number, glyphs: Glyphs): readonly Line[] {
  const half = Math.floor((columns - gap.length) / 2);
  const all = charts.map(([label, key, format]): Line => {
    const samples = points.map(({ time, totals }) => ({ time, value: totals[key] }));
    const value = shown(format(samples.at(-1)?.value ?? Number.NaN), 9, glyphs);
    return [
      { text: padded(label, 10, 'left') },
      { text: ` ${padded(value, 9, 'right')} `, style: 'bold' },
      {
        text: sparkline(samples, half - 21, glyphs),
        style: key === 'refused' || key === 'dropped' ? 'yellow' : 'green',
      },
    ];
  });
  return [0, 2, 4].map((index) => [...(all[index] ?? []), { text: gap }, ...(all[index + 1] ?? [])]);
}

function footer(view: View, { lines, page }: Extent, from: number, columns: number, glyphs: Glyphs): Line {
  if (view.isFiltering)
    return [
      { text: `/${shown(view.filter, columns - 30, glyphs)}` },
      { text: '_', style: 'inverse' },
      { text: '  Enter: keep, Esc: clear' },
    ];
  const filter = view.filter === '' ? '/ filter' : `/ ${shown(view.filter, 12, glyphs)}`;
  const keys = `q quit  s sort: ${view.sort}  p ${view.isPaused ? 'resume' : 'pause'}  ${filter}  ? help`;
  const place = lines > page ? `${from + 1}-${Math.min(lines, from + page)}/${lines}` : '';
  const room = columns - gap.length - place.length;
  return withEnd([{ text: shown(keys, room, glyphs), style: 'dim' }], place, columns, glyphs);
}
