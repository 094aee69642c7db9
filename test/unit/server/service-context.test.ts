import { EventEmitter, once } from 'node:events';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { prepareServices, TaskContext } from '../../../src/server/service-context.ts';
import { load } from './config/sources.ts';
import { FakeConnection } from '../../support/fake-client.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeLog } from '../../support/fake-log.ts';

let clock: FakeClock;
let log: FakeLog;
let context: TaskContext;

beforeEach(() => {
  clock = new FakeClock();
  log = new FakeLog();
  context = new TaskContext(clock, () => 0.25, log);
});

/** Lets promises that are settled already run their course. */
async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe('TaskContext', () => {
  it('provides the wall clock and randomness', () => {
    clock.advance(1000);
    expect(context.now()).toEqual(new Date('2026-11-22T11:07:13Z'));
    expect(context.clockIsSet()).toBe(true);
    clock.nowMs = -13 * 3_600_000;
    expect(context.clockIsSet()).toBe(false);
    expect(context.random()).toBe(0.25);
  });

  it('provides the wall clock as exactly as the system tells, and else as exactly as Node does', () => {
    expect(context.nowUs()).toBeGreaterThan(clock.now().getTime() * 1000);
    const system = { readUs: (): number | undefined => undefined, read: () => undefined };
    const bare = new TaskContext(clock, Math.random, log, new Map(), system);
    expect(bare.nowUs()).toBe(clock.now().getTime() * 1000);
    system.readUs = () => 1_795_345_632_000_001;
    expect(bare.nowUs()).toBe(1_795_345_632_000_001);
  });

  it('tells whether the system keeps its clock synchronized, and how wrong it may be', () => {
    const reading = { isSynchronized: true, estimatedErrorUs: 120, maximumErrorUs: 5000 };
    const system = { readUs: () => undefined, read: () => reading };
    const synchronized = new TaskContext(clock, Math.random, log, new Map(), system);
    expect([synchronized.clockIsSynchronized(), synchronized.clockErrorUs()]).toEqual([true, 120]);
    reading.isSynchronized = false;
    clock.advance(1000);
    expect([synchronized.clockIsSynchronized(), synchronized.clockErrorUs()]).toEqual([false, 16_000_000]);
  });

  it('waits at most five seconds in start for a hanging first run', async () => {
    context.every(1000, () => new Promise(() => {}));
    const start = context.start();
    const still = Symbol('still waiting');
    clock.advance(4999);
    expect(await Promise.race([start, settle().then(() => still)])).toBe(still);
    clock.advance(1);
    await start;
    expect(log.records.at(-1)).toMatchObject({ level: 'warn' });
  });

  it('first runs each task during start, then again ms after the last run ended', async () => {
    const runs: number[] = [];
    const slow = new EventEmitter();
    context.every(1000, async () => {
      runs.push(clock.nowMs);
      if (runs.length === 2) await once(slow, 'finish');
    });
    clock.advance(5000);
    expect(runs).toEqual([]);
    await context.start();
    expect(runs).toEqual([5000]);
    clock.advance(1000);
    expect(runs).toEqual([5000, 6000]);
    // The second run takes its time: no other begins meanwhile.
    clock.advance(10_000);
    slow.emit('finish');
    await settle();
    clock.advance(999);
    expect(runs).toEqual([5000, 6000]);
    clock.advance(1);
    expect(runs).toEqual([5000, 6000, 17_000]);
  });

  it('runs a task immediately if added after start', async () => {
    await context.start();
    let runs = 0;
    context.every(1000, async () => {
      runs += 1;
    });
    expect(runs).toBe(1);
  });

  it('logs a failed task and runs it again', async () => {
    let runs = 0;
    const error = new Error('no luck');
    context.every(1000, async () => {
      runs += 1;
      throw error;
    });
    await context.start();
    clock.advance(1000);
    await settle();
    expect(runs).toBe(2);
    expect(log.records.map(({ level, fields }) => [level, fields])).toEqual([
      ['error', { err: error }],
      ['error', { err: error }],
    ]);
  });

  it.each(['before start', 'while it waits', 'while it runs'])('starts no task after a stop %s', async (moment) => {
    let runs = 0;
    context.every(1000, async () => {
      runs += 1;
      await settle();
    });
    if (moment === 'before start') context.stop();
    const started = context.start();
    if (moment === 'while it runs') context.stop();
    await started;
    context.stop();
    clock.advance(10_000);
    await settle();
    expect(runs).toBe(moment === 'before start' ? 0 : 1);
    expect(clock.waiting).toBe(0);
  });
});

describe('prepareServices', () => {
  it('creates each service with its own context and a log that names it', async () => {
    const lines: string[] = [];
    const logger = pino({}, { write: (line: string) => lines.push(line) });
    const loaded = await load('services: { one: { type: echo, listen: tcp://:0 }, echo: { listen: udp://:0 } }');
    const prepared = await prepareServices(loaded, clock, Math.random, logger, 1);
    expect([...prepared.keys()]).toEqual(['one', 'echo']);
    for (const each of prepared.values()) each.context.log.info({}, 'hello');
    expect(lines.map((line) => (JSON.parse(line) as { service: string }).service)).toEqual(['one', 'echo']);
    expect(prepared.get('one')?.service).not.toBe(prepared.get('echo')?.service);
    expect(prepared.get('one')?.context.log).toBe(prepared.get('one')?.log);
  });

  it('tells each service all services of the config, so that it can hand clients to them', async () => {
    const text =
      'services: { mux: { type: tcpmux, listen: tcp://:0, services: [one] }, one: { type: echo, listen: tcp://:0 } }';
    const prepared = await prepareServices(await load(text), clock, Math.random, pino({ level: 'silent' }), 1);
    const named = prepared.get('one')?.context.services;
    expect([...(named ?? [])].map(([name, { type }]) => [name, type])).toEqual([
      ['mux', 'tcpmux'],
      ['one', 'echo'],
    ]);
    expect(prepared.get('mux')?.context.services).toBe(named);
    const talk = new FakeConnection(prepared.get('mux')?.service ?? {});
    talk.send('one\r\nhello');
    expect(talk.client.text).toBe('+\r\nhello');
  });

  it('gives each service 100 log lines a second in total', async () => {
    const lines: string[] = [];
    const logger = pino({}, { write: (line: string) => lines.push(line) });
    const loaded = await load('services: { one: { type: echo, listen: tcp://:0 }, echo: { listen: udp://:0 } }');
    const prepared = await prepareServices(loaded, clock, Math.random, logger, 1);
    for (let turn = 0; turn < 300; turn += 1) {
      for (const each of prepared.values()) each.context.log.info({}, 'its own');
      for (const each of prepared.values()) each.log.warn({}, 'about it');
    }
    const services = lines.map((line) => (JSON.parse(line) as { service: string }).service);
    for (const name of ['one', 'echo']) expect(services.filter((each) => each === name)).toHaveLength(100);
  });
});
