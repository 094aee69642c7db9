import { beforeEach, describe, expect, it, vi } from 'vitest';
import { BudgetedLog } from '../../../src/server/budgeted-log.ts';
import { type ClosedClient, ConnectionLog } from '../../../src/server/connection-log.ts';
import { newServiceCounters, type ServiceCounters } from '../../../src/server/counters.ts';
import type { PeerAddress } from '../../../src/service.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeLog } from '../../support/fake-log.ts';

const ipv4: PeerAddress = { family: 'ipv4', address: '192.0.2.1', port: 40_000 };
const unix: PeerAddress = { family: 'unix', address: '', port: 0 };
const client: ClosedClient = {
  peer: ipv4,
  uid: undefined,
  via: undefined,
  local: '192.0.2.9:7',
  openedAtMs: 1000,
  bytesIn: 12,
  bytesOut: 34,
  tcpInfo: undefined,
};

let clock: FakeClock;
let log: FakeLog;
let budgeted: BudgetedLog;
let counters: ServiceCounters;
let connections: ConnectionLog;

beforeEach(() => {
  log = new FakeLog();
  counters = newServiceCounters();
  clock = new FakeClock();
  budgeted = new BudgetedLog(log, clock, 1);
  connections = new ConnectionLog('info', budgeted, counters);
});

/** What each summary says. */
function summaries(): readonly object[] {
  return log.records
    .filter(({ message }) => message === 'clients refused or datagrams dropped' || message === 'log lines suppressed')
    .map(({ fields }) => fields);
}

describe('the line for a closed client', () => {
  it('contains peer, local address, bytes in and out, duration and reason', () => {
    connections.closed(client, 1234.6, 'completed');
    const fields = {
      peer: '192.0.2.1:40000',
      local: '192.0.2.9:7',
      bytesIn: 12,
      bytesOut: 34,
      ms: 235,
      reason: 'completed',
    };
    expect(log.records).toEqual([{ level: 'info', fields, message: 'closed' }]);
  });

  it('contains the round trip time and the retransmits, if they are known', () => {
    connections.closed({ ...client, tcpInfo: { rttMs: 12.345, retransmits: 2 } }, 1234.6, 'completed');
    expect(log.records[0]?.fields).toMatchObject({ rttMs: 12.345, retransmits: 2 });
  });

  it.each([
    ['debug', 'info', true],
    ['debug', 'debug', true],
    ['debug', 'off', false],
    ['info', 'info', false],
    ['info', 'debug', false],
  ] as const)('asks for them only at level debug: %s, with log.connections %s', (level, lines, isTold) => {
    log.level = level;
    expect(new ConnectionLog(lines, budgeted, counters).tellsTcpInfo).toBe(isTold);
  });

  it('names the proxy that sent the PROXY header', () => {
    connections.closed({ ...client, via: '192.0.2.8:50000' }, 1234.6, 'completed');
    expect(log.records[0]?.fields).toMatchObject({ peer: '192.0.2.1:40000', via: '192.0.2.8:50000' });
  });

  it.each<[PeerAddress, string, number?]>([
    [ipv4, '192.0.2.1:40000'],
    [{ family: 'ipv6', address: '2001:db8::1', port: 40_000 }, '[2001:db8::1]:40000'],
    [unix, 'unix'],
    [unix, 'unix:0', 0],
    [unix, 'unix:1000', 1000],
  ])('formats peer %j', (peer, name, uid) => {
    connections.closed({ ...client, peer, uid }, 2000, 'idle');
    expect(log.records[0]?.fields['peer']).toBe(name);
  });

  it.each(['debug', 'info', 'warn'] as const)('uses the level of log.connections: %s', (level) => {
    new ConnectionLog(level, budgeted, counters).closed(client, 2000, 'idle');
    expect(log.records.map((each) => each.level)).toEqual([level]);
  });

  it('is neither written nor counted as dropped if log.connections is off', () => {
    const off = new ConnectionLog('off', budgeted, counters);
    for (let turn = 0; turn < 200; turn += 1) off.closed(client, 2000, 'idle');
    off.summarize();
    expect(log.records).toEqual([]);
  });

  it('is dropped beyond the line budget of the service and counted in one summary', () => {
    for (let turn = 0; turn < 250; turn += 1) connections.closed(client, 5000, 'completed');
    expect(log.records).toHaveLength(80);
    connections.summarize();
    expect(summaries()).toEqual([{ linesNotLogged: 170 }]);
    connections.summarize();
    expect(summaries()).toHaveLength(1);
  });
});

describe('the summary', () => {
  it('is not written when nothing happened', () => {
    connections.summarize();
    expect(log.records).toEqual([]);
  });

  it('lists refused and dropped since the last summary, by reason', () => {
    counters.stream.refused.denied = 2;
    counters.datagram.dropped.rate = 1_000_000;
    connections.summarize();
    counters.stream.refused.limit = 1;
    counters.datagram.dropped.rate += 5;
    connections.summarize();
    connections.summarize();
    expect(summaries()).toEqual([
      { refused: { denied: 2 }, dropped: { rate: 1_000_000 } },
      { refused: { limit: 1 }, dropped: { rate: 5 } },
    ]);
    expect(log.records.every(({ level }) => level === 'warn')).toBe(true);
  });

  it('names whoever caused most of what is new', () => {
    counters.stream.refused.rate = 4;
    counters.datagram.dropped['source-port'] = 2;
    const refused = [
      { reason: 'rate', source: '192.0.2.7', count: 4 },
      { reason: 'denied', source: '192.0.2.8', count: 9 },
    ];
    const dropped = [{ reason: 'source-port', source: 'port 7', count: 2 }];
    connections.summarize({ refused, dropped });
    expect(summaries()).toEqual([
      {
        refused: { rate: 4 },
        refusedMostly: { rate: '192.0.2.7' },
        dropped: { 'source-port': 2 },
        droppedMostly: { 'source-port': 'port 7' },
      },
    ]);
    connections.summarize({ refused, dropped });
    expect(summaries()).toHaveLength(1);
  });

  it('says that lines were suppressed if nothing was refused or dropped', () => {
    for (let turn = 0; turn < 81; turn += 1) connections.closed(client, 5000, 'completed');
    connections.summarize();
    expect(log.records.at(-1)).toEqual({
      level: 'info',
      fields: { linesNotLogged: 1 },
      message: 'log lines suppressed',
    });
    for (let turn = 0; turn < 2; turn += 1) connections.serviceFailed(new Error('no'), client);
    connections.summarize();
    expect(log.records.at(-1)).toMatchObject({
      level: 'warn',
      fields: { errorsNotLogged: 1 },
      message: 'log lines suppressed',
    });
    counters.stream.refused.denied = 1;
    for (let turn = 0; turn < 2; turn += 1) connections.serviceFailed(new Error('no'), client);
    connections.summarize();
    expect(log.records.at(-1)).toMatchObject({
      fields: { refused: { denied: 1 }, errorsNotLogged: 1 },
      message: 'clients refused or datagrams dropped',
    });
  });

  it('reports dry-run refusals and drops on a separate line', () => {
    counters.stream.wouldRefuse.rate = 3;
    counters.datagram.wouldDrop.rate = 7;
    connections.summarize();
    connections.summarize();
    expect(log.records).toEqual([
      {
        level: 'warn',
        fields: { wouldRefuse: { rate: 3 }, wouldDrop: { rate: 7 } },
        message: 'dry run, would have refused or dropped',
      },
    ]);
  });
});

describe('errors', () => {
  it('are logged for the first failure of a service per period, then counted', () => {
    const errors = [new Error('one'), new Error('two'), new Error('three')];
    for (const error of errors) connections.serviceFailed(error, client);
    connections.summarize();
    connections.serviceFailed(new Error('four'));
    const logged = log.records.filter(({ level }) => level === 'error').map(({ fields }) => fields);
    expect(logged).toEqual([{ peer: '192.0.2.1:40000', err: errors[0] }, { err: new Error('four') }]);
    expect(summaries()).toEqual([{ errorsNotLogged: 2 }]);
  });

  it('are logged for a failing service as soon as the line budget allows', () => {
    for (let turn = 0; turn < 101; turn += 1) connections.loopFound('192.0.2.1:7');
    connections.serviceFailed(new Error('one'));
    clock.advance(1000);
    const error = new Error('two');
    connections.serviceFailed(error);
    expect(log.records.filter(({ level }) => level === 'error').map(({ fields }) => fields)).toEqual([{ err: error }]);
    connections.summarize();
    expect(summaries()).toEqual([{ linesNotLogged: 2, errorsNotLogged: 1 }]);
  });

  it.each(['debug', 'info', 'warn'] as const)('are not crowded out by closed clients at level %s', (level) => {
    const told = new ConnectionLog(level, budgeted, counters);
    for (let turn = 0; turn < 200; turn += 1) told.closed(client, 0, 'completed');
    told.serviceFailed(new Error('one'));
    told.loopFound('192.0.2.1:7');
    told.listenerFailed(new Error('two'));
    expect(log.records.slice(-3).map((each) => each.level)).toEqual(['error', 'warn', 'error']);
    expect(log.records).toHaveLength(83);
  });

  it('are logged individually for a loop and a failed listener', () => {
    const error = new Error('broken');
    connections.loopFound('192.0.2.1:7');
    connections.listenerFailed(error);
    expect(log.records.map(({ level, fields }) => [level, fields])).toEqual([
      ['warn', { peer: '192.0.2.1:7' }],
      ['error', { err: error }],
    ]);
  });

  it('are logged even if they cannot be read', () => {
    const odd = Object.defineProperty(new Error('odd'), 'message', {
      get() {
        throw new Error('no');
      },
    });
    // As pino does it.
    const error = log.error.bind(log);
    vi.spyOn(log, 'error').mockImplementation((fields, message) => {
      const { err } = fields as { err: Error };
      if (err.message !== '') error(fields, message);
    });
    connections.serviceFailed(odd, client);
    expect(log.records.map(({ fields }) => fields)).toEqual([
      { peer: '192.0.2.1:40000', err: new Error('the error cannot be read') },
    ]);
  });

  it('never include peer data in the message', () => {
    const hostile = '\u001b[2J{"level":"error"}\n';
    connections.closed({ ...client, peer: { ...ipv4, address: hostile } }, 2000, 'idle');
    connections.serviceFailed(new Error(hostile), client);
    for (const { message } of log.records) expect(message).toMatch(/^[\w ;,:]+$/);
  });
});
