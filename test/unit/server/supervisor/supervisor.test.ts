import type { Logger } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { LogSink } from '../../../../src/server/log.ts';
import type { GenerationPlan } from '../../../../src/server/supervisor/generation.ts';
import { socketAccessFor } from '../../../../src/server/supervisor/socket-access.ts';
import { Supervisor } from '../../../../src/server/supervisor/supervisor.ts';
import { planListeners } from '../../../../src/server/transport/plan.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeLog } from '../../../support/fake-log.ts';
import { FakeWorkers } from '../../../support/fake-worker.ts';
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

async function launch(listen: string): Promise<Supervisor> {
  return Supervisor.launch({
    ...(await planOf(listen)),
    startWorker: workers.start,
    clock,
    sink: { addLost() {}, write() {} } as unknown as LogSink,
    log: log as unknown as Logger,
  });
}

async function reload(supervisor: Supervisor, next: GenerationPlan): Promise<void> {
  const reloading = supervisor.reload(next, supervisor.changes(next.plan));
  // It looks at the files of UNIX sockets first.
  await new Promise(setImmediate);
  return reloading;
}

describe('a supervisor', () => {
  it('is ready with its workers and reports their listeners and counters', async () => {
    const supervisor = await launch('tcp://127.0.0.1:0');
    expect(supervisor.report.state).toBe('starting');
    workers.all[0]?.serve([7001]);
    await supervisor.ready;
    workers.all[0]?.count('echo', 2);
    expect(supervisor.listeners).toEqual([{ service: 'echo', transport: 'tcp', address: '127.0.0.1', port: 7001 }]);
    expect(supervisor.report).toMatchObject({
      state: 'ready',
      workerDeaths: 0,
      listeners: [{ service: 'echo', address: 'tcp://127.0.0.1:7001', isOpen: true }],
    });
    expect(supervisor.report.services.get('echo')?.stream).toMatchObject({ active: 2, accepted: 2 });
  });

  it('keeps the totals of a dead worker, but not its clients', async () => {
    const supervisor = await launch('tcp://127.0.0.1:7001');
    workers.all[0]?.serve();
    workers.all[0]?.count('echo', 2);
    workers.all[0]?.die(1);
    clock.advance(1000);
    workers.all[1]?.serve();
    workers.all[1]?.count('echo', 3);
    expect(supervisor.report.workerDeaths).toBe(1);
    expect(supervisor.report.services.get('echo')?.stream).toMatchObject({ active: 3, accepted: 5 });
  });

  it('ends when its workers have exited', async () => {
    const supervisor = await launch('tcp://127.0.0.1:7001');
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
    const supervisor = await launch('tcp://127.0.0.1:7001');
    workers.all[0]?.serve();
    const reloading = reload(supervisor, await planOf('tcp://127.0.0.1:7001,udp://127.0.0.1:7001'));
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
    const supervisor = await launch('tcp://127.0.0.1:7001');
    workers.all[0]?.serve();
    const reloading = reload(supervisor, await planOf('tcp://127.0.0.1:7002'));
    await new Promise(setImmediate);
    workers.all[1]?.report({ type: 'failed', code: 'LISTEN_IN_USE', message: 'port 7002 is taken' });
    await expect(reloading).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
    expect(workers.all[0]?.orders.some(({ type }) => type === 'stop')).toBe(false);
    expect(supervisor.listeners.map(({ port }) => port)).toEqual([7001]);
    expect(supervisor.report.state).toBe('ready');
  });

  it('is refused if it needs a restart', async () => {
    const supervisor = await launch('tcp://127.0.0.1:7001');
    const { plan } = await planOf('tcp://*:7001');
    expect(() => supervisor.changes(plan)).toThrow('this change needs a restart: echo tcp://0.0.0.0:7001 overlaps');
  });

  it('is aborted by a stop', async () => {
    const supervisor = await launch('tcp://127.0.0.1:7001');
    workers.all[0]?.serve();
    const reloading = reload(supervisor, await planOf('tcp://127.0.0.1:7002'));
    await new Promise(setImmediate);
    void supervisor.stop();
    for (const worker of workers.live) worker.finish();
    await expect(reloading).rejects.toMatchObject({ code: 'RELOAD_CUT_SHORT' });
  });

  it('closes the clients of the oldest config when five configs are in use', async () => {
    const supervisor = await launch('tcp://127.0.0.1:7001');
    workers.all[0]?.serve();
    for (let turn = 1; turn <= 5; turn += 1) {
      const reloading = reload(
        supervisor,
        await planOf('tcp://127.0.0.1:7001', `log: { level: ${turn % 2 ? 'warn' : 'info'} }`),
      );
      await new Promise(setImmediate);
      workers.all[turn]?.serve();
      await reloading;
    }
    expect(workers.all[0]?.orders.at(-1)).toEqual({ type: 'stop', graceMs: 0 });
    expect(workers.all[1]?.orders.at(-1)).toEqual({ type: 'stop', graceMs: 60_000 });
    expect(log.records.at(-1)?.message).toBe('too many reloads in progress, closing clients of the oldest config');
  });
});
