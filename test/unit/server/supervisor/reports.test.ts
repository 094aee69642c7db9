import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newServiceCounters } from '../../../../src/server/counters.ts';
import { readReport, workerReports } from '../../../../src/server/supervisor/reports.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';

const plan: readonly PlannedListener[] = [
  {
    id: 0,
    service: 'echo',
    text: 'tcp://127.0.0.1:0',
    target: { transport: 'tcp', family: 'ipv4', address: '127.0.0.1', port: 0 },
    optional: false,
  },
];
const inherited: readonly PlannedListener[] = [
  { id: 0, service: 'echo', text: 'fd://3', target: { transport: 'tcp', fd: 3 }, optional: false },
];
const reports = workerReports(['echo', 'time'], plan, 2);
const health = { lagMs: 0.5, residentBytes: 1, heapBytes: 1 };
const counters = newServiceCounters();
const bound = { transport: 'tcp', address: '127.0.0.1', port: 1200 };
const heartbeat = {
  type: 'heartbeat',
  counters: [['echo', counters]],
  topSources: [['time', [{ source: '192.0.2.7', connections: 3 }]]],
  health,
  lostLines: 0,
};

describe('a valid report', () => {
  it.each([
    { type: 'loaded' },
    { type: 'suspended' },
    { type: 'ready', opened: [{ id: 0, bound: null }] },
    { type: 'opened', opened: [{ id: 0, bound }] },
    { type: 'not-opened', services: ['echo'], code: 'LISTEN_IN_USE', message: 'echo: the address is in use' },
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
    [
      'opened',
      {
        type: 'ready',
        opened: [
          { id: 0, bound: null },
          { id: 0, bound: null },
        ],
      },
    ],
    ['opened.0.id', { type: 'opened', opened: [{ id: 77, bound: null }] }],
    ['opened.0.bound.port', { type: 'opened', opened: [{ id: 0, bound: { ...bound, port: 65_536 } }] }],
    ['opened.0.bound.port', { type: 'opened', opened: [{ id: 0, bound: { ...bound, port: 1.5 } }] }],
    ['opened.0', { type: 'opened', opened: [{ id: 0, bound: { ...bound, transport: 'udp' } }] }],
    // The supervisor would have bound it for the next worker.
    ['opened.0', { type: 'opened', opened: [{ id: 0, bound: { ...bound, port: 22 } }] }],
    ['opened.0', { type: 'opened', opened: [{ id: 0, bound: { ...bound, port: 0 } }] }],
    ['opened.0.bound.address', { type: 'opened', opened: [{ id: 0, bound: { ...bound, address: 'x'.repeat(108) } }] }],
    ['services', { type: 'not-opened', services: 5, code: 'LISTEN_IN_USE', message: '' }],
    ['services.0', { type: 'not-opened', services: ['ssh'], code: 'LISTEN_IN_USE', message: '' }],
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
    ['topSources.0.1', { ...heartbeat, topSources: [['echo', [1, 2, 3].map(() => ({ source: '', connections: 1 }))]] }],
    ['health.lagMs', { ...heartbeat, health: { ...health, lagMs: '1' } }],
    ['lostLines', { ...heartbeat, lostLines: 1e300 }],
    ['lostLines', { ...heartbeat, lostLines: 0.5 }],
  ])('is refused for its field %s', (field, message) => {
    const reading = readReport(reports, message);
    expect(reading).toHaveProperty('fault');
    expect('fault' in reading && reading.fault.split(':')[0]).toBe(field);
  });

  it('names a port not in the plan or an address with control characters', () => {
    const fixed = [{ ...plan[0], target: { ...plan[0]?.target, port: 1207 } }] as PlannedListener[];
    expect([1207, 1208, 0].map((port) => isRead(fixed, { port }))).toEqual([true, false, false]);
    expect([1024, 1023].map((port) => isRead(plan, { port }))).toEqual([true, false]);
    expect(['192.0.2.1', '\u001b[2J', '\u202e'].map((address) => isRead(inherited, { address }))).toEqual([
      true,
      false,
      false,
    ]);
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
        // A source is any text.
        if (typeof node[key] === 'string' && typeof value === 'string' && key === 'source') return;
        node[key] = value;
        expect(readReport(reports, message)).toHaveProperty('fault');
      }),
    );
  });
});

/** Whether a worker may say that it has opened the listener of a plan at `bound`, with a change. */
function isRead(of: readonly PlannedListener[], change: object): boolean {
  const message = { type: 'opened', opened: [{ id: 0, bound: { ...bound, ...change } }] };
  return 'report' in readReport(workerReports(['echo'], of, 2), message);
}

function* leavesOf(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) yield path;
  else for (const [key, below] of Object.entries(value)) yield* leavesOf(below, [...path, key]);
}
