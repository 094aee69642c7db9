import type { Live } from '../admin/live.ts';
import type { Cell } from './cell.ts';
import { formatFields, formatMs, formatTime, unknown } from './format.ts';

/** One row for each reload. */
export function reloadRows(reloads: Live['reloads']): readonly (readonly Cell[])[] {
  return reloads.map(reloadCells);
}

/** One row for each log line. */
export function logRows(log: Live['log']): readonly (readonly Cell[])[] {
  return log.map(logCells);
}

function reloadCells({ at, tookMs, error, errors }: Live['reloads'][number]): readonly Cell[] {
  const result: Cell = error === null ? { text: 'succeeded', mark: 'good' } : { text: 'failed', mark: 'bad' };
  const more = errors > 1 ? ` (and ${errors - 1} more)` : '';
  return [formatTime(at), result, formatMs(tookMs), error === null ? unknown : `${error}${more}`];
}

function logCells({ level, time, message, fields }: Live['log'][number]): readonly Cell[] {
  return [formatTime(time), { text: level, mark: level === 'warn' ? 'warn' : 'bad' }, message, formatFields(fields)];
}
