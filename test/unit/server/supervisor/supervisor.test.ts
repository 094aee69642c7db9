import type { Logger } from 'pino';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { ServiceCounters } from '../../../../src/server/counters.ts';
import type { LogSink } from '../../../../src/server/log.ts';
import { socketAccessFor } from '../../../../src/server/supervisor/socket-access.ts';
import { type GenerationPlan, Supervisor } from '../../../../src/server/supervisor/supervisor.ts';
import { planListeners } from '../../../../src/server/transport/plan.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeLog } from '../../../support/fake-log.ts';
import { type FakeWorker, FakeWorkers } from '../../../support/fake-worker.ts';
import { until } from '../../../support/wait.ts';
import { load, sourceOf } from '../config/sources.ts';

let clock: FakeClock;
let log: FakeLog;
let workers: FakeWorkers;

beforeEach(() => {
  clock = new FakeClock();
  log = new FakeLog();
  workers = new FakeWorkers();
});

async function planOf(listen: string, more = ''): Promise<GenerationPlan> {
  const text = `workers: 1\nreload: { grace: 1m }\n${more}\nservices: { echo: { listen: "${listen}" } }`;
  const { config } = await load(text);
  const plan = await planListeners(config, new Map(), socketAccessFor(null));
  return { config, source: sourceOf(text), plan, identity: null };
}

/** Its sockets are real, its workers are not. */
async function launch(listen: string): Promise<Supervisor> {
  const supervisor = await Supervisor.launch({
    ...(await planOf(listen)),
    startWorker: workers.start,
    clock,
    sink: { addLost() {}, write() {} } as unknown as LogSink,
    log: log as unknown as Logger,
  });
  onTestFinished(async () => {
    supervisor.destroy();
    await supervisor.ended;
  });
  return supervisor;
}

function portOf(supervisor: Supervisor, index = 0): number {
  return supervisor.listeners[index]?.port ?? 0;
}

async function reload(supervisor: Supervisor, next: GenerationPlan, isSuperseded = () => false): Promise<void> {
  const reloading = supervisor.reload(next, supervisor.changes(next.plan), isSuperseded);
  // It looks at the files of UNIX sockets first.
  await new Promise(setImmediate);
  return reloading;
}

describe('a supervisor', () => {
  it('is ready with its workers and reports their listeners and counters', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    expect(supervisor.report.state).toBe('starting');
    workers.all[0]?.serve();
    await supervisor.ready;
    const port = portOf(supervisor);
    expect(port).toBeGreaterThan(1023);
    workers.all[0]?.count('echo', 2);
    expect(supervisor.listeners).toEqual([{ service: 'echo', transport: 'tcp', address: '127.0.0.1', port }]);
    expect(supervisor.report).toMatchObject({
      state: 'ready',
      workerDeaths: 0,
      listeners: [{ service: 'echo', address: `tcp://127.0.0.1:${port}`, isOpen: true }],
    });
    expect(supervisor.report.services.get('echo')?.stream).toMatchObject({ active: 2, accepted: 2 });
  });

  it('keeps the totals of a dead worker, but not its clients', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    workers.all[0]?.count('echo', 2);
    workers.all[0]?.die(1);
    clock.advance(1000);
    workers.all[1]?.serve();
    workers.all[1]?.count('echo', 3);
    expect(supervisor.report.workerDeaths).toBe(1);
    expect(supervisor.report.services.get('echo')).toMatchObject({
      stream: { active: 3, accepted: 5 },
      custom: { clients: { help: 'Clients.', count: 5 } },
    });
  });

  it('adds up the CPU time of all workers that have had a slot', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    workers.all[0]?.count('echo', 0);
    const once = supervisor.report.workerCpu;
    expect(once).toEqual([{ userMs: 1, systemMs: 2 }]);
    workers.all[0]?.die(1);
    expect(supervisor.report.workerCpu).toEqual(once);
    clock.advance(1000);
    expect(supervisor.report.workerCpu).toEqual(once);
    workers.all[1]?.serve();
    workers.all[1]?.count('echo', 0);
    expect(supervisor.report.workerCpu).toEqual([{ userMs: 2, systemMs: 4 }]);
  });

  it('shows the counters of workers that live, whatever dead ones have called theirs', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    for (let death = 0; death < 3; death += 1) {
      const invented = Array.from({ length: 16 }, (_, index) => [`n${death}_${index}`, { help: 'N.', count: 1 }]);
      const worker = workers.live[0];
      worker?.serve();
      worker?.count('echo', 0, Object.fromEntries(invented) as ServiceCounters['custom']);
      worker?.die(1);
      clock.advance(60_000);
    }
    const custom = (): ServiceCounters['custom'] => supervisor.report.services.get('echo')?.custom ?? {};
    expect(Object.keys(custom())).toHaveLength(32);
    workers.live[0]?.serve();
    workers.live[0]?.count('echo', 2);
    expect(custom()['clients']).toEqual({ help: 'Clients.', count: 2 });
    workers.live[0]?.die(1);
    clock.advance(60_000);
    workers.live[0]?.serve();
    workers.live[0]?.count('echo', 3, { clients: { help: 'Clients now.', count: 3 } });
    expect(custom()['clients']).toEqual({ help: 'Clients now.', count: 5 });
    expect(Object.keys(custom())).toHaveLength(32);
  });

  it('ends when its workers have exited', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    const stopped = supervisor.stop();
    expect(workers.all[0]?.orders.at(-1)).toEqual({ type: 'stop', graceMs: 10_000 });
    expect(supervisor.report.state).toBe('draining');
    workers.all[0]?.finish();
    expect(await stopped).toBe(0);
  });
});

describe('a reload', () => {
  it('starts new workers and stops the old workers when the new ones are ready', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    const reloading = reload(supervisor, await planOf('tcp://127.0.0.1:0,udp://127.0.0.1:0'));
    await new Promise(setImmediate);
    const [old, fresh] = workers.all;
    expect(fresh?.name).toBe(2);
    expect(old?.orders.some(({ type }) => type === 'stop')).toBe(false);
    fresh?.serve();
    await reloading;
    expect(old?.orders.at(-1)).toEqual({ type: 'stop', graceMs: 60_000 });
    expect(supervisor.listeners.map(({ transport }) => transport)).toEqual(['tcp', 'udp']);
    old?.finish();
    expect(supervisor.report.workers.map(({ worker }) => worker)).toEqual([2]);
    expect(supervisor.report.state).toBe('ready');
  });

  it('that fails changes nothing', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    const reloading = reload(supervisor, await planOf('tcp://127.0.0.2:0'));
    await new Promise(setImmediate);
    workers.all[1]?.report({ type: 'failed', code: 'CONFIG_INVALID', message: 'a file is missing' });
    await expect(reloading).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(workers.all[0]?.orders.some(({ type }) => type === 'stop')).toBe(false);
    expect(supervisor.listeners.map(({ address }) => address)).toEqual(['127.0.0.1']);
    expect(supervisor.report.state).toBe('ready');
  });

  it('keeps the sockets that both configs have, with the ports that the system chose', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0,udp://127.0.0.1:0');
    workers.all[0]?.serve();
    const before = supervisor.listeners;
    const reloading = reload(supervisor, await planOf('udp://127.0.0.1:0,tcp://127.0.0.1:0,tcp://127.0.0.2:0'));
    await new Promise(setImmediate);
    const [old, fresh] = workers.all;
    expect(fresh?.descriptors.slice(0, 2)).toEqual(old?.descriptors.toReversed());
    fresh?.serve();
    await reloading;
    expect(supervisor.listeners.slice(0, 2)).toEqual(before.toReversed());
  });

  it('lets the new workers read UDP sockets once the old ones have stopped', async () => {
    const supervisor = await launch('udp://127.0.0.1:0');
    workers.all[0]?.serve();
    const reloading = reload(supervisor, await planOf('udp://127.0.0.1:0', 'log: { level: warn }'));
    await new Promise(setImmediate);
    const [old, fresh] = workers.all as [FakeWorker, FakeWorker];
    old.isHung = true;
    fresh.serve();
    await new Promise(setImmediate);
    expect(old.orders.at(-1)).toMatchObject({ type: 'stop' });
    expect(fresh.orders.some(({ type }) => type === 'read')).toBe(false);
    expect(supervisor.report.listeners.map(({ isOpen }) => isOpen)).toEqual([false]);
    old.report({ type: 'suspended' });
    await reloading;
    expect(fresh.orders.at(-1)).toEqual({ type: 'read', ids: [0] });
    expect(supervisor.report.listeners.map(({ isOpen }) => isOpen)).toEqual([true]);
  });

  it('changes nothing if a listener cannot be opened', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    const taken = await launch('tcp://127.0.0.2:0');
    const next = await planOf(`tcp://127.0.0.1:0,tcp://127.0.0.2:${portOf(taken)}`);
    await expect(supervisor.reload(next, supervisor.changes(next.plan), () => false)).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
      message: expect.stringContaining('the address is in use by another program') as string,
    });
    expect(workers.all.filter(({ isGone }) => !isGone)).toHaveLength(2);
    expect(supervisor.listeners).toHaveLength(1);
  });

  it('is aborted by a stop', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    const reloading = reload(supervisor, await planOf('tcp://127.0.0.2:0'));
    await new Promise(setImmediate);
    void supervisor.stop();
    for (const worker of workers.live) worker.finish();
    await expect(reloading).rejects.toMatchObject({ code: 'RELOAD_CUT_SHORT' });
  });

  it('is cut short after thirty seconds if another reload waits', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    let isSuperseded = false;
    let error: unknown;
    const next = await planOf('tcp://127.0.0.2:0');
    const reloading = reload(supervisor, next, () => isSuperseded).catch((reason: unknown) => {
      error = reason;
    });
    await until(() => workers.all.length === 2, 'the new worker');
    const starting = workers.all[1]!;
    // A module can pretend that its worker waits for memory.
    starting.does = { cpuMs: 100, majorFaults: 0, isRunnable: true };
    const pass = async (seconds: number): Promise<void> => {
      for (let looks = 0; looks < 2 * seconds; looks += 1) {
        clock.advance(500);
        workers.all[0]?.count('echo', 0);
        await new Promise(setImmediate);
      }
    };
    await pass(60);
    expect([error, starting.orders]).toEqual([undefined, []]);
    isSuperseded = true;
    await pass(1);
    await reloading;
    expect(error).toMatchObject({ code: 'RELOAD_CUT_SHORT', message: expect.stringContaining('another reload') });
    expect(starting.orders.at(-1)).toMatchObject({ type: 'stop' });
    const again = reload(supervisor, next, () => true);
    await until(() => workers.all.length === 3, 'another worker');
    await pass(29);
    workers.all[2]?.serve();
    await again;
    expect(supervisor.listeners[0]?.address).toBe('127.0.0.2');
  });

  it('closes the clients of the oldest config when five configs are in use', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    workers.all[0]?.serve();
    for (let turn = 1; turn <= 5; turn += 1) {
      const reloading = reload(
        supervisor,
        await planOf('tcp://127.0.0.1:0', `log: { level: ${turn % 2 ? 'warn' : 'info'} }`),
      );
      await new Promise(setImmediate);
      workers.all[turn]?.serve();
      await reloading;
    }
    expect(workers.all[0]?.orders.at(-1)).toEqual({ type: 'stop', graceMs: 0 });
    expect(workers.all[1]?.orders.at(-1)).toEqual({ type: 'stop', graceMs: 60_000 });
    expect(log.records.at(-1)?.message).toBe('too many earlier configs still draining, closing clients of the oldest');
  });
});
