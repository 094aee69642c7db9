import { expect, test } from 'vitest';
import type { WorkerOrder } from '../../../../src/server/supervisor/messages.ts';
import { OwedReports } from '../../../../src/server/supervisor/owed-reports.ts';
import type { WorkerReport } from '../../../../src/server/supervisor/reports.ts';

const start = { type: 'start' } as WorkerOrder;
const read: WorkerOrder = { type: 'read', ids: [] };
const stop: WorkerOrder = { type: 'stop', graceMs: 0 };

/** Orders and reports in turn; the positions of the reports that are not owed. */
function notOwed(turns: readonly (WorkerOrder | WorkerReport['type'])[]): readonly number[] {
  const owed = new OwedReports();
  return turns.flatMap((turn, index) => {
    if (typeof turn === 'string') return owed.take(turn) === undefined ? [] : [index];
    owed.ordered(turn);
    return [];
  });
}

test('expects each report once per order', () => {
  expect(notOwed(['loaded', start, 'ready', read, stop, 'suspended'])).toEqual([]);
  expect(notOwed([stop, stop, 'suspended', 'suspended'])).toEqual([]);
  expect(notOwed(['loaded', 'loaded', 'ready', start, 'ready', 'ready'])).toEqual([1, 2, 5]);
  expect(notOwed([read, 'ready', 'suspended', stop, 'suspended', 'suspended'])).toEqual([1, 2, 5]);
});

test('accepts heartbeats and failures at any time', () => {
  expect(notOwed(['heartbeat', 'heartbeat', 'failed', 'failed'])).toEqual([]);
});

test('explains why a report is unexpected', () => {
  expect(new OwedReports().take('ready')).toBe('type: unexpected "ready", which was not requested');
});
