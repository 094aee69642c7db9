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

const unreadable = {
  get message(): string {
    throw new Error('not to be read');
  },
};

function fail(error: unknown): never {
  throw error;
}

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

  it('logs a failed task whose error cannot be read, and runs it again', async () => {
    const lines: string[] = [];
    context = new TaskContext(clock, Math.random, pino({}, { write: (line: string) => lines.push(line) }));
    context.every(1000, async () => fail(unreadable));
    await context.start();
    clock.advance(1000);
    await settle();
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual(
      Array.from({ length: 2 }, () =>
        expect.objectContaining({ err: expect.objectContaining({ message: 'the error cannot be read' }) }),
      ),
    );
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

describe('a counter', () => {
  it('counts from 0, and is the same for the same name', () => {
    const hits = context.counter('hits', 'Hits.');
    expect(context.counts).toEqual({ hits: { help: 'Hits.', count: 0 } });
    hits.add();
    context.counter('hits', 'Not shown.').add(40);
    hits.add(0);
    context.counter('misses_2', 'Misses, "quoted" \\.');
    expect(context.counts).toEqual({
      hits: { help: 'Hits.', count: 41 },
      misses_2: { help: 'Misses, "quoted" \\.', count: 0 },
    });
  });

  it.each([-1, 0.5, Number.NaN, Infinity, 2 ** 53])('cannot grow by %d', (amount) => {
    const hits = context.counter('hits', 'Hits.');
    expect(() => hits.add(amount)).toThrow(`cannot add ${amount} to the counter "hits"`);
    expect(context.counts['hits']?.count).toBe(0);
  });

  it('stays at the largest whole number', () => {
    const hits = context.counter('hits', 'Hits.');
    for (const amount of [5, Number.MAX_SAFE_INTEGER]) hits.add(amount);
    expect(context.counts['hits']?.count).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([
    '',
    'Hits',
    'hit-count',
    '9lives',
    '_x',
    'hits_total',
    'constructor',
    '__proto__',
    'ä',
    'x'.repeat(49),
    'a\n',
  ])('cannot be called %j', (name) => {
    expect(() => context.counter(name, 'Hits.')).toThrow(`the counter name ${JSON.stringify(name)} is not`);
  });

  it.each(['', 'two\nlines', 'Zähler.', 'x'.repeat(121)])('cannot have the help text %j', (help) => {
    expect(() => context.counter('hits', help)).toThrow('the help text of the counter "hits" is not');
  });

  it.each<[unknown]>([[undefined], [null], [5], [5n], [['hits']], [{}], [Symbol('hits')], [Object.create(null)]])(
    'cannot have a name or a help text that is not a string: %s',
    (value) => {
      expect(() => context.counter(value as string, 'Hits.')).toThrow('the name of a counter is not a string');
      expect(() => context.counter('hits', value as string)).toThrow('the help text of the counter "hits" is not');
      expect(context.counts).toEqual({});
    },
  );

  it('says all that a name must be', () => {
    expect(() => context.counter('constructor', 'Hits.')).toThrow(
      'the counter name "constructor" is not valid: it must begin with a letter, consist of a-z, 0-9 and _, ' +
        'have at most 48 characters, not end in _total, and not be constructor or prototype',
    );
  });

  it('is one of at most 16', () => {
    for (let number = 0; number < 16; number += 1) context.counter(`hits${number}`, 'Hits.');
    expect(() => context.counter('more', 'Hits.')).toThrow('the counter "more" is one too many');
    context.counter('hits15', 'Hits.').add();
    expect(context.counts['hits15']?.count).toBe(1);
  });
});

describe('a delayed task', () => {
  it('runs once, when its time has passed', async () => {
    await context.start();
    const ran: number[] = [];
    for (const ms of [2000, 0, Infinity]) context.after(ms, () => void ran.push(clock.nowMs));
    clock.advance(1999);
    expect(ran).toEqual([0]);
    clock.advance(10_000_000);
    expect(ran).toEqual([0, 2000]);
    expect(clock.waiting).toBe(0);
  });

  it.each(['before start', 'after start', 'after it ran'])('can be cancelled %s', async (moment) => {
    let runs = 0;
    const task = (): void => {
      runs += 1;
    };
    if (moment !== 'before start') await context.start();
    const cancel = context.after(1000, task);
    if (moment === 'after it ran') clock.advance(1000);
    cancel();
    cancel();
    await context.start();
    clock.advance(10_000);
    expect(runs).toBe(moment === 'after it ran' ? 1 : 0);
    expect(clock.waiting).toBe(0);
  });

  it('begins to wait when the service starts, which a checked config never does', async () => {
    let runs = 0;
    context.after(1000, () => {
      runs += 1;
    });
    clock.advance(10_000);
    expect(clock.waiting).toBe(0);
    await context.start();
    clock.advance(999);
    expect(runs).toBe(0);
    clock.advance(1);
    expect(runs).toBe(1);
  });

  it.each(['before start', 'while it waits', 'that has happened'])('does not run after a stop %s', async (moment) => {
    let runs = 0;
    const add = (): unknown => context.after(1000, () => void (runs += 1));
    if (moment === 'before start') add();
    if (moment === 'before start') context.stop();
    await context.start();
    if (moment === 'while it waits') add();
    context.stop();
    if (moment === 'that has happened') add();
    clock.advance(10_000);
    expect(runs).toBe(0);
    expect(clock.waiting).toBe(0);
  });

  const error = new Error('no luck');

  it.each([
    ['throws', (): void => fail(error), 'no luck'],
    ['rejects', async (): Promise<void> => fail(error), 'no luck'],
    ['throws what cannot be read', (): void => fail(unreadable), 'the error cannot be read'],
  ])('that %s is logged, and the others run', async (_case, task, logged) => {
    const lines: string[] = [];
    context = new TaskContext(clock, Math.random, pino({}, { write: (line: string) => lines.push(line) }));
    await context.start();
    let runs = 0;
    context.after(1000, task);
    context.after(1000, () => {
      runs += 1;
    });
    clock.advance(1000);
    await settle();
    expect(runs).toBe(1);
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ msg: 'delayed task failed', err: expect.objectContaining({ message: logged }) }),
    ]);
  });

  it.each<[unknown]>([[-1], [Number.NaN], [2 ** 31], ['100'], [100n], [undefined], [Symbol('ms')]])(
    'cannot wait %s ms',
    (ms) => {
      expect(() => context.after(ms as number, () => {})).toThrow(
        new RangeError(`cannot wait ${String(ms)} ms: expected a number from 0 to 2073600000, or Infinity`),
      );
    },
  );
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
