import { beforeEach, expect, it } from 'vitest';
import type { FaultChange } from '../../../../src/server/admin/snapshot.ts';
import { FaultControl } from '../../../../src/server/command/fault-control.ts';
import type { FaultRules } from '../../../../src/server/faults/fault-rules.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeLog } from '../../../support/fake-log.ts';
import { load } from '../config/sources.ts';

const { config } = await load(`services:
  echo: { listen: "udp://127.0.0.1:0", faults: { loss: 0.5 } }
  time: { listen: "udp://127.0.0.1:0" }
`);

let clock: FakeClock;
let log: FakeLog;
/** What the daemon was told: service and loss. */
let told: (readonly [service: string, loss: number | undefined])[];
let control: FaultControl;

beforeEach(() => {
  clock = new FakeClock();
  log = new FakeLog();
  told = [];
  const daemon = {
    setFaults: (service: string, rules: FaultRules | undefined): void => void told.push([service, rules?.loss]),
  };
  control = new FaultControl({ daemon: () => daemon, config: () => config, clock, log });
});

function ask(change: Partial<FaultChange>): unknown {
  return control.change({ service: 'echo', faults: { loss: '0.2' }, forTime: null, ...change });
}

it('replaces the faults of a service, and ends them', () => {
  expect(ask({})).toEqual({ faults: { loss: 0.2 } });
  expect(ask({ faults: {} })).toEqual({ faults: {} });
  expect(told).toEqual([
    ['echo', 0.2],
    ['echo', undefined],
  ]);
  expect(log.records.map(({ level, message, fields }) => [level, message, fields['faults']])).toEqual([
    ['warn', 'faults changed on request', { loss: 0.2 }],
    ['warn', 'faults changed on request', {}],
  ]);
});

it('logs ten changes a second, and counts the others', () => {
  for (let change = 0; change < 300; change += 1) expect(ask({})).toEqual({ faults: { loss: 0.2 } });
  expect(log.records).toHaveLength(10);
  clock.advance(1000);
  expect(log.records.slice(10).map(({ message, fields }) => [message, fields])).toEqual([
    ['log lines suppressed', { linesNotLogged: 290 }],
  ]);
  expect(clock.waiting).toBe(0);
  ask({});
  expect(log.records.at(-1)?.message).toBe('faults changed on request');
});

it('goes back to the config when the time is over', () => {
  ask({ forTime: '5m' });
  ask({ service: 'time', forTime: '1s' });
  clock.advance(1000);
  expect(told.slice(2)).toEqual([['time', undefined]]);
  clock.advance(298_999);
  expect(told).toHaveLength(3);
  clock.advance(1);
  expect(told.slice(3)).toEqual([['echo', 0.5]]);
});

it('forgets the time of earlier faults when they are replaced', () => {
  ask({ forTime: '1s' });
  ask({ faults: { loss: '1' } });
  clock.advance(10_000);
  expect(told).toEqual([
    ['echo', 0.2],
    ['echo', 1],
  ]);
  expect(clock.waiting).toBe(0);
});

it('goes back to the config at a reload, and waits no longer for the time', () => {
  ask({ forTime: '5m' });
  ask({ service: 'time' });
  control.reloaded();
  expect(told.slice(2)).toEqual([['echo', 0.5]]);
  expect(clock.waiting).toBe(0);
  clock.advance(300_000);
  expect(told).toHaveLength(3);
  expect(log.records.map(({ message }) => message)).toEqual(['faults changed on request', 'faults changed on request']);
});

it('tells which rules a service follows now', () => {
  const lossOf = (): readonly (number | undefined)[] =>
    config.services.map((service) => control.rulesOf(service)?.loss);
  expect(lossOf()).toEqual([0.5, undefined]);
  ask({ forTime: '1s' });
  ask({ service: 'time', faults: { loss: '1' } });
  expect(lossOf()).toEqual([0.2, 1]);
  clock.advance(1000);
  expect(lossOf()).toEqual([0.5, 1]);
  ask({ faults: {} });
  expect(lossOf()).toEqual([undefined, 1]);
  control.reloaded();
  expect(lossOf()).toEqual([0.5, undefined]);
});

it('says when requested faults have expired', () => {
  ask({ forTime: '1s' });
  clock.advance(1000);
  expect(log.records.at(-1)).toMatchObject({
    message: 'requested faults expired, config applies again',
    fields: { service: 'echo' },
  });
});

it.each<[Partial<FaultChange>, RegExp]>([
  [{ service: 'ehco' }, /^the running config has no service ehco$/],
  [{ faults: { loss: '2' } }, /^loss: "2" is not a number from 0 to 1, such as 0\.05$/],
  [{ faults: { dealy: '1', loss: 'x' } }, /^dealy: unknown key.* delay\?; loss: "x" is not/],
  [{ faults: { delay: '5ms' } }, /^delay: "5ms" is not a mapping: expected the keys probability, time/],
  [{ faults: { 'delay.time.more': '5ms' } }, /^delay\.time/],
  [{ faults: { 'delay.time': '2h' } }, /^delay\.time: "2h" is not a duration/],
  [{ forTime: '5' }, /^--for: "5" is not a duration/],
  [{ forTime: '0s' }, /^--for: "0s" is not a duration/],
  [{ forTime: '99d' }, /^--for: "99d" is not a duration/],
])('changes nothing for %j, and says why', (change, why) => {
  expect(ask(change)).toEqual({ problem: expect.stringMatching(why) as string });
  expect(told).toEqual([]);
  expect(log.records).toEqual([]);
});

it('waits for the daemon', () => {
  const early = new FaultControl({ daemon: () => undefined, config: () => config, clock, log });
  expect(early.change({ service: 'echo', faults: {}, forTime: null })).toEqual({ problem: 'the daemon is starting' });
});
