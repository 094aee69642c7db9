import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkEvent } from '../../../../src/server/admin/event-shape.ts';
import type { PageEvent, PageEventName } from '../../../../src/server/admin/live.ts';
import type { Snapshot } from '../../../../src/server/admin/snapshot.ts';
import { readSnapshot } from '../../../../src/server/admin/snapshot-shape.ts';
import { formatStatus } from '../../../../src/server/command/status.ts';
import { WatchRows } from '../../../../src/server/command/watch.ts';
import { noData, withEvent } from '../../../../src/server/top/data.ts';
import { renderAll, renderFrame } from '../../../../src/server/top/frame.ts';
import { asciiGlyphs } from '../../../../src/server/top/text.ts';
import { firstView, sortKeys } from '../../../../src/server/top/view.ts';
import { live } from './live.ts';
import { snapshot } from './snapshot.ts';

/** Names that every object inherits, among others. */
const name = fc.constantFrom('echo', 'delay', 'toString', 'constructor', '__proto__', 'hasOwnProperty', 'valueOf');
const number = fc.oneof(fc.nat(9), fc.double({ noNaN: true, noDefaultInfinity: true }));
const sum = fc.oneof(fc.nat(9), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }));
const count = fc.nat(9);
const time = fc.constantFrom('2026-11-22T11:07:12.000Z', '1970');

function recordOf<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Readonly<Record<string, Value>>> {
  return fc.dictionary(name, value, { maxKeys: 3 });
}

function listOf<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value[]> {
  return fc.array(value, { maxLength: 3 });
}

/** What the shapes require, and what they let be missing. */
function some(
  required: Readonly<Record<string, fc.Arbitrary<unknown>>>,
  optional: Readonly<Record<string, fc.Arbitrary<unknown>>> = {},
): fc.Arbitrary<unknown> {
  return fc.record({ ...required, ...optional }, { requiredKeys: Object.keys(required) });
}

const counts = recordOf(sum);
const health = some(
  { lagMs: number, residentBytes: number, heapBytes: number },
  { cpuMs: number, cpuSystemMs: number, upMs: number },
);
const cpuTime = some({ userMs: number, systemMs: number });
const traffic = { bytesIn: number, bytesOut: number };
const handlerTime = some({ buckets: listOf(sum), sumNs: sum });
const offenders = listOf(some({ reason: name, source: name, count: sum }));

const service = some(
  {
    type: name,
    topSources: listOf(some({ source: name, connections: sum })),
    stream: some(
      { accepted: sum, active: sum, ...traffic, closed: counts, refused: counts, wouldRefuse: counts },
      { faults: counts },
    ),
    datagram: some({ received: sum, sent: sum, ...traffic, dropped: counts, wouldDrop: counts }, { faults: counts }),
  },
  {
    offenders: some({ refused: offenders, dropped: offenders }),
    handlerTime: some({ stream: handlerTime, datagram: handlerTime }),
    rates: some({ requests: sum, bytesIn: sum, bytesOut: sum, refused: sum, dropped: sum }),
    custom: recordOf(some({ help: name, count: sum })),
  },
);

const lastReload = some(
  { succeeded: fc.boolean(), at: time, tookMs: number, errors: listOf(name) },
  { agoMs: number, code: name },
);

const status = some(
  {
    version: name,
    node: name,
    pid: fc.constant(1),
    startedAt: fc.constant('1970'),
    state: fc.constantFrom('starting', 'ready', 'draining'),
    notReady: listOf(name),
    config: some({ name, hash: name }),
    reload: some({
      attempts: count,
      failures: count,
      isRunning: fc.boolean(),
      lastSuccessAt: fc.option(time),
      last: fc.option(lastReload),
    }),
    supervisor: health,
    workers: listOf(
      some(
        { worker: count, status: fc.constantFrom('ready', 'waiting', 'resting') },
        { slot: count, pid: count, health, restarts: count },
      ),
    ),
    workerDeaths: count,
    listeners: listOf(some({ service: name, address: name, isOpen: fc.boolean() })),
    services: recordOf(service),
    lostLogLines: sum,
    clock: some({ isSet: fc.boolean(), isSynchronized: fc.option(fc.boolean()), errorMs: number }),
  },
  { upMs: number, cpu: some({ supervisor: cpuTime, workers: listOf(cpuTime) }, { admin: cpuTime }) },
);

const series = recordOf(listOf(fc.option(number)));
const points = some({ times: listOf(number), values: series });
const point = fc.option(some({ time: number, values: recordOf(number) }));
const fields = recordOf(fc.jsonValue({ maxDepth: 2 }));

const values: Readonly<Record<PageEventName, fc.Arbitrary<unknown>>> = {
  past: some({ seconds: points, minutes: points, requests: series }),
  status,
  points: some({ second: point, minute: point }),
  faults: recordOf(fields),
  reloads: listOf(some({ at: time, tookMs: number, error: fc.option(name), errors: number })),
  log: listOf(some({ level: name, message: name, fields }, { time: name })),
};

/** As it comes over the network. */
function received(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function eventOf(eventName: PageEventName, value: unknown): PageEvent {
  const reading = checkEvent(eventName, received(value));
  if ('fault' in reading) throw new Error(`the shape refuses ${eventName}: ${reading.fault}`);
  return reading.event;
}

function snapshotOf(value: unknown): Snapshot {
  const reading = readSnapshot(received(value));
  if ('fault' in reading) throw new Error(`the shape refuses the status: ${reading.fault}`);
  return reading.snapshot;
}

it('top shows whatever events the shapes accept', () => {
  const view = fc.record({
    ...Object.fromEntries(Object.entries(firstView).map(([key, value]) => [key, fc.constant(value)])),
    sort: fc.constantFrom(...sortKeys),
    filter: fc.constantFrom('', 'e'),
  }) as fc.Arbitrary<typeof firstView>;
  const event = fc.oneof(
    ...Object.entries(values).map(([key, value]) => fc.tuple(fc.constant(key as PageEventName), value)),
  );
  fc.assert(
    fc.property(status, values.faults, fc.array(event, { maxLength: 6 }), view, (first, faults, more, chosen) => {
      const events = [['status', first] as const, ['faults', faults] as const, ...more];
      const data = events.map(([key, value]) => eventOf(key, value)).reduce(withEvent, noData);
      const state = { endpoint: 'tcp://localhost:9013', data, view: chosen };
      expect(renderAll(state, 80, asciiGlyphs).length).toBeGreaterThan(5);
      expect(renderFrame(state, { columns: 80, rows: 24 }, asciiGlyphs).lines).toHaveLength(24);
    }),
  );
});

it('status and status --watch show whatever snapshots the shape accepts', () => {
  fc.assert(
    fc.property(status, status, (one, other) => {
      const rows = new WatchRows(10_000);
      for (const each of [one, other].map(snapshotOf)) {
        expect(formatStatus(each)).toContain('smallservd');
        expect(rows.next(each)).toContain('\n');
      }
    }),
  );
});

it.each(['toString', 'hasOwnProperty'])(
  'takes %s for a name like any other, and needs no counts of faults',
  (inherited) => {
    const echo = snapshot().services['echo']!;
    const faultless = { faults: undefined };
    const plain = { ...echo, stream: { ...echo.stream, ...faultless }, datagram: { ...echo.datagram, ...faultless } };
    const before = { ...live().status, services: { echo: plain } };
    const after = { ...before, upMs: 3_733_000, services: { echo: plain, [inherited]: plain } };
    const rows = new WatchRows(10_000);
    rows.next(snapshotOf(before));
    expect(rows.next(snapshotOf(after))).toMatch(/ 0\n$/);
    const faults = { [inherited]: { loss: 0.5 }, echo: { [inherited]: 0.5 } };
    const events = [eventOf('status', before), eventOf('faults', faults)];
    const state = { endpoint: 'tcp://localhost:9013', data: events.reduce(withEvent, noData), view: firstView };
    const lines = renderAll(state, 80, asciiGlyphs).map((line) => line.map(({ text }) => text).join(''));
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^${inherited} +loss +0\\.5 +-$`)));
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^echo +${inherited} +0\\.5 +0$`)));
  },
);
