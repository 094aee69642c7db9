import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newServiceCounters } from '../../../../src/server/counters.ts';
import { MessageRate, readCostBytes } from '../../../../src/server/supervisor/message-rate.ts';
import { SourceMask } from '../../../../src/server/guard/source-prefix.ts';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { formatJson } from '../../../../src/terminal-text.ts';
import { readReport, reportLimitsFor, workerReports } from '../../../../src/server/supervisor/reports.ts';

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

function topSource(source: string): object {
  return { ...heartbeat, topSources: [['echo', [{ source, connections: 1 }]]] };
}

function refused(...reasons: readonly string[]): object {
  const offenders = reasons.map((reason) => ({ reason, source: '192.0.2.7', count: 1 }));
  return { ...heartbeat, offenders: [['echo', { refused: offenders, dropped: [] }]] };
}

describe('a source', () => {
  const mask = new SourceMask({ ipv4: 24, ipv6: 64 });
  const word = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffffffff }));
  const address = fc.record({ w0: word, w1: word, w2: word, w3: word });
  const linkLocal = fc.record({ w0: fc.constant(0xfe800000), w1: word, w2: word, w3: word, zone: fc.nat(9) });
  const user = fc.record({ uid: fc.option(word, { nil: undefined }) });
  const zone = fc.oneof(
    fc.string({ maxLength: 15 }),
    fc.string({ unit: 'binary', maxLength: 15 }),
    fc.constant('eth0.7'),
  );

  it('is valid if a worker formats it, whatever its interface is named', () => {
    fc.assert(
      fc.property(fc.oneof(address, linkLocal, user), zone, (of, name) => {
        const text = mask.format(mask.keyOf(of), () => name);
        expect(readReport(reports, topSource(text))).toHaveProperty('report');
        expect(Buffer.byteLength(JSON.stringify(text))).toBeLessThan(100);
      }),
    );
  });

  it.each(['unix', 'unix:0', 'unix:4294967294', 'port 65535', '192.0.2.0/24', '::/0', 'fe80::1', 'fe80::1%wg-\u00fc0'])(
    'can be %s',
    (text) => {
      expect(readReport(reports, topSource(text))).toHaveProperty('report');
    },
  );

  it('names its interface by number if the name has control characters', () => {
    const key = mask.keyOf({ ...parseIp('fe80::1')!, zone: 7 });
    expect(mask.format(key, () => 'eth0')).toBe('fe80::1%eth0');
    expect(mask.format(key, () => 'e\u009b0')).toBe('fe80::1%7');
  });
});

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
        offenders: [['echo', { refused: [{ reason: 'rate', source: 'x'.repeat(65), count: 1 }], dropped: [] }]],
      },
    ],
    [
      'topSources.0.1',
      { ...heartbeat, topSources: [['echo', [1, 2, 3].map(() => ({ source: 'unix', connections: 1 }))]] },
    ],
    ['topSources.0.1.0.source', topSource('')],
    ['topSources.0.1.0.source', topSource('\u009b'.repeat(20))],
    ['topSources.0.1.0.source', topSource('fe80::1%\u009b')],
    ['topSources.0.1.0.source', topSource(`fe80::1%${'x'.repeat(16)}`)],
    ['topSources.0.1.0.source', topSource('192.0.2.7\n')],
    ['offenders.0.1.refused.0.reason', refused('other')],
    ['offenders.0.1.refused.0.reason', refused('loop')],
    ['offenders.0.1.refused', refused('rate', 'limit', 'rate')],
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
        // It is any text.
        if (typeof value === 'string' && key === 'help') return;
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

describe('limits on reports', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const offenders = Array.from({ length: 20 }, () => ({ reason: 'r'.repeat(32), source: 's'.repeat(64), count: most }));
  const customs = Array.from({ length: 16 }, (_, index) => [
    `${index}`.padStart(48, 'c'),
    { help: 'h'.repeat(120), count: most },
  ]);
  const largest = {
    counters: { ...newServiceCounters(), custom: Object.fromEntries(customs) },
    topSources: Array.from({ length: 5 }, () => ({ source: 's'.repeat(64), connections: most })),
    offenders: { refused: offenders, dropped: offenders },
  };

  /** As many bytes as a heartbeat can have, read in pieces of 64 KiB. */
  function bytesOfHeartbeat(services: number): number {
    const names = Array.from({ length: services }, (_, index) => `${index}`.padStart(63, 'n'));
    const report = Object.fromEntries(
      Object.entries(largest).map(([key, of]) => [key, names.map((name) => [name, of])]),
    );
    const bytes = JSON.stringify({ type: 'heartbeat', ...report, health, lostLines: most }).length + 1;
    return bytes + Math.ceil(bytes / 65_536 + 1) * readCostBytes;
  }

  it.each([1, 50, 1000])('allow the largest heartbeats of %i services every second, forever', (services) => {
    const { take, pause } = limitsAt(services);
    const size = bytesOfHeartbeat(services);
    expect(size).toBeLessThan(reportLimitsFor(services).maxMessageBytes);
    for (let second = 0; second < 10_000; second += 1) {
      expect(take(size)).toBe(true);
      pause(1000);
    }
  });

  it('keep the status of 200 services, whatever workers report, below the 4 MiB that its readers accept', () => {
    const per = workerReports(['echo'], 10);
    const source = `fe80${':ffff'.repeat(7)}%${'"'.repeat(15)}`;
    const { stream, datagram } = newServiceCounters();
    const [refusedMost, droppedMost] = [stream.refused, datagram.dropped].map((counted) =>
      Object.keys(counted).map((reason) => ({ reason, source, count: most })),
    );
    const report = {
      ...heartbeat,
      counters: [['echo', largest.counters]],
      topSources: [['echo', Array.from({ length: 10 }, () => ({ source, connections: most }))]],
      offenders: [['echo', { refused: refusedMost, dropped: droppedMost }]],
    };
    expect(readReport(per, report)).toHaveProperty('report');
    // A status has twice as many custom counters: those of past workers too.
    const bytes = formatJson(report).length + formatJson(customs).length;
    expect(200 * bytes).toBeLessThan(4 * 2 ** 20);
  });

  it('allow what has waited in the socket while the supervisor was stopped, again and again', () => {
    const { take, pause } = limitsAt(1);
    for (let round = 0; round < 10; round += 1) {
      pause(150_000);
      for (let report = 0; report < 150; report += 1) expect(take(1400)).toBe(true);
    }
  });

  it('allow a start and an end at any time: four reports more than heartbeats', () => {
    const { take, pause } = limitsAt(1);
    for (let report = 0; report < 5; report += 1) expect(take(400_000 / 5)).toBe(true);
    pause(500);
    for (let report = 0; report < 5; report += 1) expect(take(400_000 / 5)).toBe(true);
  });

  it.each([
    ['small ones', 100, 10],
    ['large ones', 500_000, 1],
    ['as many as it likes', 1000, 200],
  ])('end a worker that goes on sending more than two heartbeats a second: %s', (_what, size, perSecond) => {
    const { take, pause } = limitsAt(1);
    let sent = 0;
    let seconds = 0;
    for (let isAllowed = true; isAllowed && seconds < 1000; seconds += 1) {
      for (let report = 0; isAllowed && report < perSecond; report += 1) {
        isAllowed = take(size);
        sent += 1;
      }
      pause(1000);
    }
    expect(seconds).toBeLessThan(30);
    expect(sent).toBeLessThanOrEqual(200 + 2 * seconds + 1);
    const { bytes } = reportLimitsFor(1);
    expect(sent * size).toBeLessThanOrEqual(bytes.burst + seconds * bytes.perSecond + size);
  });
});

function limitsAt(services: number): { take: (bytes: number) => boolean; pause: (ms: number) => void } {
  let nowMs = 0;
  const { messages, bytes } = reportLimitsFor(services);
  const [messageRate, byteRate] = [messages, bytes].map((allowance) => new MessageRate(allowance, () => nowMs));
  return {
    take: (size) => byteRate?.take(size) === true && messageRate?.take() === true,
    pause: (ms) => (nowMs += ms),
  };
}
