import type { Logger } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { LogSink } from '../../../../src/server/log.ts';
import { Generation, type GenerationOptions } from '../../../../src/server/supervisor/generation.ts';
import { ListenerTable } from '../../../../src/server/supervisor/listener-table.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';
import { SocketFiles } from '../../../../src/server/transport/unix-socket.ts';
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
      plan,
      identity: null,
      table: new ListenerTable(plan),
      sockets: new SocketFiles(),
      firstWorker: 1,
      isSuccessor: false,
      startWorker: workers.start,
      clock,
      sink: { addLost() {}, write() {} } as unknown as LogSink,
      log: log as unknown as Logger,
      ...options,
    },
    { datagramPorts: () => [7001, 7037], portOpened() {}, died: () => (deaths += 1), counted() {} },
  );
  generation.ready.catch(() => {});
  return generation;
}

/** The listeners that a worker was told to open by its last order of a type. */
function told(worker: FakeWorker | undefined, type: 'start' | 'open'): readonly number[] | undefined {
  const order = worker?.orders.findLast((each) => each.type === type);
  return order !== undefined && 'listeners' in order ? order.listeners.map(({ id }) => id) : undefined;
}

function messages(): readonly string[] {
  return log.records.map(({ message }) => message);
}

describe('startup', () => {
  it('forks the workers, sends each its listeners when loaded, and is up when all are ready', async () => {
    const generation = begin();
    const [first, second] = workers.all;
    expect(workers.all.map(({ name }) => name)).toEqual([1, 2]);
    expect(first?.orders).toEqual([]);
    first?.serve();
    expect(told(first, 'start')).toEqual([0, 1]);
    expect(generation.isUp).toBe(false);
    second?.serve();
    expect(told(second, 'start')).toEqual([0, 2]);
    await generation.ready;
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

describe('a worker that dies', () => {
  it('is replaced, and its UDP sockets move to the other worker at once', () => {
    const generation = begin();
    for (const worker of workers.all) worker.serve();
    const [first, second] = workers.all;
    first?.die(null, 'SIGSEGV');
    expect(deaths).toBe(1);
    expect(log.records.at(-1)).toMatchObject({ fields: { worker: 1, pid: 1001, signal: 'SIGSEGV' } });
    expect(told(second, 'open')).toEqual([1]);
    expect(generation.isOpen(plan[1]!)).toBe(true);
    clock.advance(1000);
    const third = workers.all[2];
    expect(third).toMatchObject({ name: 1, slot: 0 });
    third?.serve();
    // What the other one has taken over stays there.
    expect(told(third, 'start')).toEqual([0]);
    expect(third?.orders.some(({ type }) => type === 'open')).toBe(false);
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

describe('a UDP socket that failed to open', () => {
  const notOpened = { type: 'not-opened', code: 'LISTEN_IN_USE', message: 'port 7001 is taken' } as const;

  it('is reported closed and retried every five seconds until it opens', () => {
    const generation = begin();
    for (const worker of workers.all) worker.serve();
    const [first, second] = workers.all;
    first?.die(1);
    second?.report({ ...notOpened, services: ['echo'] });
    expect(generation.isOpen(plan[1]!)).toBe(false);
    expect(generation.isOpen(plan[2]!)).toBe(true);
    const before = second?.orders.length ?? 0;
    clock.advance(4000);
    second?.count('time', 0);
    expect(second?.orders.slice(before)).toEqual([]);
    clock.advance(1000);
    expect(second?.orders.slice(before).map(({ type }) => type)).toEqual(['open']);
    second?.report({
      type: 'opened',
      opened: [{ id: 1, bound: { transport: 'udp', address: '127.0.0.1', port: 7001 } }],
    });
    expect(generation.isOpen(plan[1]!)).toBe(true);
    expect(messages().at(-1)).toBe('listening again');
  });

  it('is accepted only for services owned by the reporting worker', () => {
    const generation = begin();
    for (const worker of workers.all) worker.serve();
    workers.all[0]?.report({ ...notOpened, services: ['echo', 'time'] });
    expect(generation.isOpen(plan[1]!)).toBe(false);
    expect(generation.isOpen(plan[2]!)).toBe(true);
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
});
