import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newServiceCounters } from '../../../../src/server/counters.ts';
import { readReport, workerReports } from '../../../../src/server/supervisor/reports.ts';

const reports = workerReports(['echo', 'time'], 2);
const health = { lagMs: 0.5, residentBytes: 1, heapBytes: 1, cpuMs: 1, cpuSystemMs: 0, upMs: 1 };
const hits = { help: 'Hits.', count: 3 };
const counters = { ...newServiceCounters(), custom: { hits } };
const heartbeat = {
  type: 'heartbeat',
  counters: [['echo', counters]],
  topSources: [['time', [{ source: '192.0.2.7', connections: 3 }]]],
  offenders: [['time', { refused: [{ reason: 'rate', source: '192.0.2.7', count: 3 }], dropped: [] }]],
  health,
  lostLines: 0,
};

function custom(counts: object): object {
  return { ...heartbeat, counters: [['echo', { ...counters, custom: counts }]] };
}

describe('a valid report', () => {
  it.each([
    { type: 'loaded' },
    { type: 'suspended' },
    { type: 'ready' },
    heartbeat,
    { type: 'failed', code: 'CONFIG_INVALID', message: 'one\ntwo' },
  ])('is read unchanged: $type', (report) => {
    expect(readReport(reports, JSON.parse(JSON.stringify(report)))).toEqual({ report });
  });
});

describe('an invalid report', () => {
  it.each<readonly [field: string, message: unknown]>([
    ['the report', null],
    ['the report', 5],
    ['the report', 'loaded'],
    ['type', []],
    ['type', {}],
    ['type', { type: 'taken-over' }],
    ['type', JSON.parse('{"__proto__":{"type":"loaded"}}')],
    ['__proto__', JSON.parse('{"type":"loaded","__proto__":{"type":"ready"}}')],
    ['constructor', JSON.parse('{"type":"suspended","constructor":{"prototype":{"x":1}}}')],
    ['more', { type: 'loaded', more: 1 }],
    ['opened', { type: 'ready', opened: 7 }],
    ['code', { type: 'failed', code: 'ROOT', message: '' }],
    ['message', { type: 'failed', code: 'LISTEN_FAILED' }],
    ['message', { type: 'failed', code: 'LISTEN_FAILED', message: 'x'.repeat(65_537) }],
    ['counters', { ...heartbeat, counters: {} }],
    ['counters', { ...heartbeat, counters: [0, 1, 2].map(() => ['echo', counters]) }],
    ['counters.0.0', { ...heartbeat, counters: [['ssh', counters]] }],
    ['counters.0.1', { ...heartbeat, counters: [['echo', null]] }],
    [
      'counters.0.1.stream.active',
      { ...heartbeat, counters: [['echo', { ...counters, stream: { ...counters.stream, active: -1 } }]] },
    ],
    ['counters.0.1.custom.Hits', custom({ Hits: hits })],
    ['counters.0.1.custom.hits_total', custom({ hits_total: hits })],
    ['counters.0.1.custom.hits.help', custom({ hits: { ...hits, help: 'two\nlines' } })],
    ['counters.0.1.custom.hits.help', custom({ hits: { ...hits, help: 'x'.repeat(121) } })],
    ['counters.0.1.custom.hits.count', custom({ hits: { ...hits, count: 0.5 } })],
    ['counters.0.1.custom.hits.peer', custom({ hits: { ...hits, peer: '192.0.2.7' } })],
    ['counters.0.1.custom', custom(Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`n${index}`, hits])))],
    ['offenders.0.1.dropped', { ...heartbeat, offenders: [['echo', { refused: [] }]] }],
    [
      'offenders.0.1.refused.0.source',
      {
        ...heartbeat,
        offenders: [['echo', { refused: [{ reason: 'x', source: 'x'.repeat(65), count: 1 }], dropped: [] }]],
      },
    ],
    ['topSources.0.1', { ...heartbeat, topSources: [['echo', [1, 2, 3].map(() => ({ source: '', connections: 1 }))]] }],
    ['health.lagMs', { ...heartbeat, health: { ...health, lagMs: '1' } }],
    ['lostLines', { ...heartbeat, lostLines: 1e300 }],
    ['lostLines', { ...heartbeat, lostLines: 0.5 }],
    ['lostLines', { ...heartbeat, lostLines: 1_000_001 }],
  ])('is refused for its field %s', (field, message) => {
    const reading = readReport(reports, message);
    expect(reading).toHaveProperty('fault');
    expect('fault' in reading && reading.fault.split(':')[0]).toBe(field);
  });

  it('is refused without throwing for any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (message) => {
        expect(readReport(reports, message)).toHaveProperty('fault');
      }),
    );
  });

  it('is refused if a single field has the wrong type', () => {
    const leaves = [...leavesOf(heartbeat)];
    fc.assert(
      fc.property(fc.constantFrom(...leaves), fc.constantFrom<unknown>(null, true, -1, 'x', [], {}), (path, value) => {
        const message = JSON.parse(JSON.stringify(heartbeat)) as Record<string, unknown>;
        let node = message;
        for (const step of path.slice(0, -1)) node = node[step] as Record<string, unknown>;
        const key = path.at(-1) ?? '';
        // These are any text.
        const texts = ['source', 'reason', 'help'];
        if (typeof node[key] === 'string' && typeof value === 'string' && texts.includes(key)) return;
        node[key] = value;
        expect(readReport(reports, message)).toHaveProperty('fault');
      }),
    );
  });
});

function* leavesOf(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) yield path;
  else for (const [key, below] of Object.entries(value)) yield* leavesOf(below, [...path, key]);
}
