import type { Logger } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { LogSink } from '../../../../src/server/log.ts';
import { Generation, type GenerationOptions } from '../../../../src/server/supervisor/generation.ts';
import type { OpenListener } from '../../../../src/server/supervisor/listener-sockets.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeLog } from '../../../support/fake-log.ts';
import { type FakeWorker, FakeWorkers } from '../../../support/fake-worker.ts';
import { load, sourceOf } from '../config/sources.ts';

const tcp = { transport: 'tcp', family: 'ipv4', address: '127.0.0.1', port: 7001 } as const;
const udp = { transport: 'udp', family: 'ipv4', address: '127.0.0.1' } as const;

/** Two services with UDP sockets, one of them on TCP, too. */
const plan: readonly PlannedListener[] = [
  { id: 0, service: 'echo', text: 'tcp://127.0.0.1:7001', optional: false, target: tcp },
  { id: 1, service: 'echo', text: 'udp://127.0.0.1:7001', optional: false, target: { ...udp, port: 7001 } },
  { id: 2, service: 'time', text: 'udp://127.0.0.1:7037', optional: false, target: { ...udp, port: 7037 } },
];

/** As if the supervisor had them open. */
const listeners: readonly OpenListener[] = plan.map((planned, index) => {
  const { transport, address, port } = planned.target as typeof tcp;
  return { planned, descriptor: 90 + index, bound: { transport, address, port } };
});

const text = `
workers: 2
services:
  echo: { listen: ["tcp://127.0.0.1:7001", "udp://127.0.0.1:7001"] }
  time: { listen: "udp://127.0.0.1:7037" }
`;
const { config } = await load(text);

let clock: FakeClock;
let log: FakeLog;
let workers: FakeWorkers;
let deaths: number;

beforeEach(() => {
  clock = new FakeClock();
  log = new FakeLog();
  workers = new FakeWorkers();
  deaths = 0;
});

function begin(options: Partial<GenerationOptions> = {}): Generation {
  const generation = new Generation(
    {
      config,
      source: sourceOf(text),
      identity: null,
      listeners,
      firstWorker: 1,
      isSuccessor: false,
      startWorker: workers.start,
      clock,
      sink: { addLost() {}, write() {} } as unknown as LogSink,
      log: log as unknown as Logger,
      ...options,
    },
    { datagramPorts: () => [7001, 7037], died: () => (deaths += 1), counted() {} },
  );
  generation.ready.catch(() => {});
  return generation;
}

/** The UDP sockets that a worker was told to read, in each of its orders. */
function reads(worker: FakeWorker | undefined): readonly (readonly number[])[] | undefined {
  return worker?.orders.flatMap((order) => (order.type === 'read' ? [order.ids] : []));
}

function messages(): readonly string[] {
  return log.records.map(({ message }) => message);
}

describe('startup', () => {
  it('forks the workers, sends each all listeners when loaded, and is up when all are ready', async () => {
    const generation = begin();
    const [first, second] = workers.all;
    expect(workers.all.map(({ name }) => name)).toEqual([1, 2]);
    expect(first?.orders).toEqual([]);
    first?.serve();
    expect(first?.orders[0]).toMatchObject({
      type: 'start',
      // In the worker they follow the channel.
      listeners: [
        { id: 0, target: { transport: 'tcp', fd: 4 } },
        { id: 1, target: { transport: 'udp', fd: 5 } },
        { id: 2, target: { transport: 'udp', fd: 6 } },
      ],
    });
    expect(generation.isUp).toBe(false);
    expect(reads(first)).toEqual([]);
    second?.serve();
    await generation.ready;
    expect(workers.all.map(reads)).toEqual([[[1]], [[2]]]);
    // The sockets, then the memory in which they count clients together.
    const shared = expect.any(Number) as number;
    expect(workers.all.map(({ descriptors }) => descriptors)).toEqual([
      [90, 91, 92, shared],
      [90, 91, 92, shared],
    ]);
    expect(first?.orders[0]).toMatchObject({ limits: { slot: 0, descriptor: 7 } });
    expect(second?.orders[0]).toMatchObject({ limits: { slot: 1, descriptor: 7 } });
    expect(generation.isUp).toBe(true);
    expect(plan.map((each) => generation.isOpen(each))).toEqual([true, true, true]);
    expect(generation.workers.map(({ worker, status, pid }) => [worker, status, pid])).toEqual([
      [1, 'ready', 1001],
      [2, 'ready', 1002],
    ]);
  });

  it('fails and kills all workers if a worker reports a failure', async () => {
    const generation = begin();
    workers.all[0]?.report({ type: 'failed', code: 'LISTEN_IN_USE', message: 'port 7001 is taken' });
    await expect(generation.ready).rejects.toMatchObject({ code: 'LISTEN_IN_USE', message: 'port 7001 is taken' });
    expect(workers.live).toEqual([]);
    expect(await generation.ended).toBe(1);
  });

  it('kills a worker unresponsive for thirty seconds', () => {
    begin();
    const [first, second] = workers.all;
    second?.serve();
    for (let turn = 0; turn < 59; turn += 1) {
      clock.advance(500);
      second?.count('echo', 0);
    }
    expect(first?.isGone).toBe(false);
    clock.advance(500);
    expect(first?.wasKilled).toBe(true);
    expect(second?.isGone).toBe(false);
  });
});

/** Lets the first worker be silent, and calls `each` twice a second. */
function firstIsSilent(seconds: number, each: (worker: FakeWorker) => void): FakeWorker {
  begin();
  for (const worker of workers.all) worker.serve();
  const [first, second] = workers.all;
  if (first === undefined) throw new Error('there is no worker');
  for (let turn = 0; turn < 2 * seconds && !first.isGone; turn += 1) {
    each(first);
    clock.advance(500);
    second?.count('echo', 0);
  }
  expect(second?.isGone).toBe(false);
  return first;
}

describe('a silent worker', () => {
  const starved = { cpuMs: 100, majorFaults: 0, isRunnable: true };

  it('is not killed while it waits for a processor', () => {
    expect(firstIsSilent(120, (worker) => (worker.does = starved)).isGone).toBe(false);
    expect(messages()).toEqual([]);
  });

  it('is killed after five seconds if it spins', () => {
    const started = clock.nowMs;
    const spins = (worker: FakeWorker): void => {
      worker.does = { ...starved, cpuMs: clock.nowMs };
    };
    expect(firstIsSilent(7, spins).wasKilled).toBe(true);
    expect(clock.nowMs - started).toBe(5000);
    expect(messages()[0]).toBe('worker unresponsive, killing it');
  });

  it('is killed after five seconds if it is blocked or stopped', () => {
    expect(firstIsSilent(5, (worker) => (worker.does = { ...starved, isRunnable: false })).wasKilled).toBe(true);
  });

  it('is not killed after the supervisor was stopped with it', () => {
    begin();
    for (const worker of workers.all) worker.serve();
    clock.pause(60_000);
    clock.advance(500);
    for (const worker of workers.all) worker.count('echo', 1);
    clock.advance(4500);
    expect(workers.all.map(({ isGone }) => isGone)).toEqual([false, false]);
  });
});

describe('a worker that dies', () => {
  it('is replaced, and its UDP sockets move to the other worker at once', () => {
    const generation = begin();
    for (const worker of workers.all) worker.serve();
    const [first, second] = workers.all;
    first?.die(null, 'SIGSEGV');
    expect(deaths).toBe(1);
    expect(log.records.at(-1)).toMatchObject({ fields: { worker: 1, pid: 1001, signal: 'SIGSEGV' } });
    expect(reads(second)).toEqual([[2], [1]]);
    expect(generation.isOpen(plan[1]!)).toBe(true);
    clock.advance(1000);
    const third = workers.all[2];
    expect(third).toMatchObject({ name: 1, slot: 0 });
    third?.serve();
    // What the other one has taken over stays there.
    expect(reads(third)).toEqual([]);
    expect(messages()).toContain('worker ready again');
  });

  it('has its reported counters recorded', () => {
    begin();
    const [first] = workers.all;
    for (const worker of workers.all) worker.serve();
    first?.count('echo', 3);
    expect(first?.counters.get('echo')?.stream).toMatchObject({ active: 3, accepted: 3 });
  });

  it('five times in a minute rests, and the daemon exits with 70 when all are', async () => {
    const generation = begin();
    for (let turn = 0; turn < 5; turn += 1) {
      for (const worker of workers.live) worker.die(1);
      clock.advance(10_000);
    }
    await expect(generation.ready).rejects.toMatchObject({ code: 'WORKERS_KEEP_DYING' });
    expect(await generation.ended).toBe(70);
  });
});

describe('shutdown', () => {
  it('stops the workers and ends when they have exited', async () => {
    const generation = begin();
    for (const worker of workers.all) worker.serve();
    generation.stop(7000);
    expect(workers.all.map(({ orders }) => orders.at(-1))).toEqual([
      { type: 'stop', graceMs: 7000 },
      { type: 'stop', graceMs: 7000 },
    ]);
    expect(generation.isUp).toBe(false);
    expect(plan.map((each) => generation.isOpen(each))).toEqual([false, false, false]);
    for (const worker of workers.all) worker.finish();
    await generation.suspended;
    expect(await generation.ended).toBe(0);
    expect(deaths).toBe(0);
    expect(messages()).toEqual([]);
  });

  it('does not wait for a worker that died', async () => {
    const generation = begin();
    for (const worker of workers.all) worker.serve();
    generation.stop(7000);
    workers.all[0]?.die(1);
    workers.all[1]?.finish();
    await generation.suspended;
    expect(await generation.ended).toBe(0);
    expect(messages()).toEqual(['worker exited before its clients finished']);
  });

  it('kills all workers at once on destroy', async () => {
    const generation = begin();
    for (const worker of workers.all) worker.serve();
    generation.destroy();
    expect(workers.live).toEqual([]);
    expect(await generation.ended).toBe(0);
  });
});

describe('a successor', () => {
  it('fails if a worker dies before all are ready, and drains the others', async () => {
    const generation = begin({ isSuccessor: true });
    workers.all[0]?.serve();
    workers.all[1]?.die(1);
    await expect(generation.ready).rejects.toMatchObject({ code: 'WORKER_FAILED' });
    expect(workers.all[0]?.orders.at(-1)).toEqual({ type: 'stop', graceMs: 10_000 });
    workers.all[0]?.finish();
    expect(await generation.ended).toBe(1);
  });

  it('reads UDP sockets only when told that nobody else does', async () => {
    const generation = begin({ isSuccessor: true });
    for (const worker of workers.all) worker.serve();
    await generation.ready;
    expect(workers.all.map(reads)).toEqual([[], []]);
    expect(plan.map((each) => generation.isOpen(each))).toEqual([true, false, false]);
    // A worker that dies meanwhile hands on what it would have read.
    workers.all[0]?.die(1);
    expect(reads(workers.all[1])).toEqual([]);
    generation.readDatagrams();
    expect(reads(workers.all[1])).toEqual([[1, 2]]);
    expect(plan.map((each) => generation.isOpen(each))).toEqual([true, true, true]);
  });
});

it('never gives up after it has served, whatever its workers say of the config', async () => {
  const generation = begin();
  for (const worker of workers.live) worker.serve();
  await generation.ready;
  let hasEnded = false;
  void generation.ended.then(() => (hasEnded = true));
  for (let turn = 0; turn < 5; turn += 1) {
    for (const worker of workers.live) {
      worker.report({ type: 'failed', code: 'CONFIG_INVALID', message: 'too many open files' });
      worker.die(78);
    }
    clock.advance(10_000);
  }
  expect(generation.workers.map(({ status }) => status)).toEqual(['resting', 'resting']);
  expect(log.records.filter(({ message }) => message === 'worker keeps exiting, pausing restarts')).toMatchObject([
    { fields: { worker: 1, delayMs: 60_000 } },
    { fields: { worker: 2, delayMs: 60_000 } },
  ]);
  clock.advance(60_000);
  expect(workers.live).toHaveLength(2);
  for (const worker of workers.live) worker.serve();
  expect(plan.map((each) => generation.isOpen(each))).toEqual([true, true, true]);
  expect(hasEnded).toBe(false);
});

describe('setFaults', () => {
  it('tells the workers that serve, and those that start later', async () => {
    const [{ faults } = { faults: undefined }] = (
      await load('services: { time: { listen: "udp://:0", faults: { loss: 1 } } }')
    ).config.services;
    const generation = begin();
    const [first, second] = workers.all as [FakeWorker, FakeWorker];
    first.serve();
    generation.setFaults('time', faults);
    const order = { type: 'faults', service: 'time', rules: faults };
    expect(first.orders.at(-1)).toEqual(order);
    // It has not loaded its code.
    expect(second.orders).toEqual([]);
    second.serve();
    expect(second.orders.slice(0, 2)).toEqual([expect.objectContaining({ type: 'start' }), order]);
    generation.setFaults('time', undefined);
    for (const worker of [first, second])
      expect(worker.orders.at(-1)).toEqual({ type: 'faults', service: 'time', rules: null });
  });

  it('does nothing for a service that a reload has removed, and which workers do not have', () => {
    const generation = begin();
    const [first, second] = workers.all as [FakeWorker, FakeWorker];
    first.serve();
    generation.setFaults('removed', undefined);
    second.serve();
    for (const { orders } of [first, second]) expect(orders.filter(({ type }) => type === 'faults')).toEqual([]);
  });
});
