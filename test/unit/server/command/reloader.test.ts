import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { prepare } from '../../../../src/server/command/prepare.ts';
import { Reloader } from '../../../../src/server/command/reloader.ts';
import type { LogSink } from '../../../../src/server/log.ts';
import { socketAccessFor } from '../../../../src/server/supervisor/socket-access.ts';
import { Supervisor } from '../../../../src/server/supervisor/supervisor.ts';
import { planListeners } from '../../../../src/server/transport/plan.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeLog } from '../../../support/fake-log.ts';
import { freePort } from '../../../support/ports.ts';
import { FakeWorkers } from '../../../support/fake-worker.ts';
import { until } from '../../../support/wait.ts';

let clock: FakeClock;
let log: FakeLog;
let workers: FakeWorkers;
let told: string[];

beforeEach(() => {
  clock = new FakeClock();
  log = new FakeLog();
  workers = new FakeWorkers();
  told = [];
});

interface Reloading {
  readonly reloader: Reloader;
  readonly supervisor: Supervisor;
  /** Writes the config anew. */
  readonly write: (text: string) => void;
}

const [port, other] = [await freePort(), await freePort()];

const user = process.geteuid?.() === 0 ? 'user: root' : '';

function configOf(at: number, more = ''): string {
  return `workers: 1\n${user}\n${more}\nservices: { echo: { listen: "tcp://127.0.0.1:${at}" } }\n`;
}

async function start(config?: string): Promise<Reloading> {
  const directory = mkdtempSync(join(tmpdir(), 'smallservd-reloader-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'smallservd.yaml');
  const write = (text: string): void => writeFileSync(file, text);
  write(configOf(port));
  const prepared = await prepare({ config: file, set: [] });
  const plan = await planListeners(prepared.loaded.config, new Map(), socketAccessFor(null));
  const supervisor = await Supervisor.launch({
    config: prepared.loaded.config,
    source: prepared.source,
    plan,
    identity: null,
    startWorker: workers.start,
    clock,
    sink: { addLost() {}, write() {} } as unknown as LogSink,
    log: log as unknown as Logger,
  });
  workers.all[0]?.serve();
  const reloader = new Reloader(supervisor, prepared, {
    command: { config: config ?? file, set: [] },
    passed: new Map(),
    clock,
    log: log as unknown as Logger,
    onStart: () => told.push('start'),
    onReplaced: () => told.push('replaced'),
    onEnd: () => told.push('end'),
  });
  onTestFinished(async () => {
    supervisor.destroy();
    await supervisor.ended;
  });
  return { reloader, supervisor, write };
}

async function ended(reloader: Reloader): Promise<void> {
  await until(() => !reloader.isRunning, 'the end of the reload');
}

describe('a reload', () => {
  it('applies the new config when its workers are ready, and logs the changes', async () => {
    const { reloader, supervisor, write } = await start();
    const before = reloader.current.hash;
    write(configOf(other, 'log: { level: warn }'));
    reloader.reload();
    await until(() => workers.all.length === 2, 'a new worker');
    expect(reloader.isRunning).toBe(true);
    workers.all[1]?.serve();
    await ended(reloader);
    expect(reloader).toMatchObject({ attempts: 1, failures: 0, last: { succeeded: true, errors: [] } });
    expect(reloader.lastSuccessAt).toBe(reloader.last?.at);
    expect(reloader.current.hash).not.toBe(before);
    expect(supervisor.listeners.map(({ port: at }) => at)).toEqual([other]);
    expect(told).toEqual(['start', 'replaced', 'end']);
    const changes = log.records.find(({ message }) => message === 'config changes');
    expect(changes?.fields).toMatchObject({
      added: [`echo tcp://127.0.0.1:${other}`],
      removed: [`echo tcp://127.0.0.1:${port}`],
      kept: 0,
      changed: [
        '~ log.level: "info" → "warn"',
        `~ services.echo.listen: ["tcp://127.0.0.1:${port}"] → ["tcp://127.0.0.1:${other}"]`,
      ],
    });
  });

  it.each<[string, string, readonly RegExp[]]>([
    ['an invalid config', configOf(port, 'workrs: 2'), [/workrs: unknown key; did you mean workers\?$/]],
    [
      'settings that need a restart',
      configOf(port, 'log: { file: /tmp/x.log }\nadmin: { listen: "tcp://127.0.0.1:7099" }'),
      [/^this change needs a restart: log\.file from null to/, /^this change needs a restart: admin\.listen from null/],
    ],
  ])('is refused for %s, changing nothing', async (_what, text, errors) => {
    const { reloader, write } = await start();
    const before = reloader.current;
    write(text);
    reloader.reload();
    await ended(reloader);
    expect(reloader).toMatchObject({ attempts: 1, failures: 1, last: { succeeded: false }, lastSuccessAt: undefined });
    expect(reloader.last?.errors).toEqual(errors.map((each) => expect.stringMatching(each) as string));
    expect(reloader.current).toBe(before);
    expect(workers.all).toHaveLength(1);
    expect(told).toEqual(['start', 'end']);
  });

  it('fails if a new worker fails to start', async () => {
    const { reloader, write } = await start();
    write(configOf(other));
    reloader.reload();
    await until(() => workers.all.length === 2, 'a new worker');
    workers.all[1]?.report({ type: 'failed', code: 'LISTEN_IN_USE', message: 'port 7002 is taken' });
    await ended(reloader);
    expect(reloader.last?.errors).toEqual(['port 7002 is taken']);
    expect(log.records.at(-1)).toMatchObject({ level: 'error', fields: { code: 'LISTEN_IN_USE' } });
  });

  it('requested during another reload runs once afterwards, even if requested repeatedly', async () => {
    const { reloader, write } = await start();
    write(configOf(other));
    reloader.reload();
    await until(() => workers.all.length === 2, 'a new worker');
    write(configOf(7003));
    reloader.reload();
    reloader.reload();
    workers.all[1]?.serve();
    await until(() => workers.all.length === 3, 'a worker of the second reload');
    workers.all[2]?.serve();
    await ended(reloader);
    expect(reloader).toMatchObject({ attempts: 2, failures: 0 });
  });

  it('gives way to the next one if its workers do not start, but not twice in a row', async () => {
    const { reloader, write } = await start();
    /** Lets time pass in which only the first worker reports, and the others would like to run. */
    const starve = async (seconds: number): Promise<void> => {
      for (let looks = 0; looks < 2 * seconds; looks += 1) {
        for (const worker of workers.live) worker.does = { cpuMs: 0, majorFaults: 0, isRunnable: true };
        clock.advance(500);
        workers.all[0]?.count('echo', 0);
        await new Promise(setImmediate);
      }
    };
    write(configOf(other));
    reloader.reload();
    await until(() => workers.all.length === 2, 'a worker of the first reload');
    reloader.reload();
    await starve(31);
    await until(() => workers.all.length === 3, 'a worker of the second reload');
    expect(reloader).toMatchObject({ attempts: 2, last: { code: 'RELOAD_CUT_SHORT' } });
    reloader.reload();
    await starve(60);
    expect(reloader.attempts).toBe(2);
    workers.all[2]?.serve();
    await until(() => workers.all.length === 4, 'a worker of the third reload');
    workers.all[3]?.serve();
    await ended(reloader);
    expect(reloader).toMatchObject({ attempts: 3, failures: 1 });
  });

  it('is recorded, the last twenty, newest first', async () => {
    const { reloader, write } = await start();
    expect(reloader.records).toEqual([]);
    write(configOf(port, `a${'x'.repeat(1000)}: 1\nb: 2`));
    for (let count = 0; count < 22; count += 1) {
      clock.advance(10);
      reloader.reload();
      await ended(reloader);
    }
    expect(reloader.records).toHaveLength(20);
    const [newest, before] = reloader.records;
    expect(newest).toMatchObject({
      at: reloader.last?.at,
      errors: 2,
      error: expect.stringMatching(/ axxx/) as string,
    });
    expect(newest?.error).toHaveLength(300);
    expect(Date.parse(newest?.at ?? '') - Date.parse(before?.at ?? '')).toBe(10);
    write(configOf(port, 'log: { level: warn }'));
    reloader.reload();
    await until(() => workers.all.length === 2, 'a new worker');
    workers.all[1]?.serve();
    await ended(reloader);
    expect(reloader.records[0]).toMatchObject({ error: null, errors: 0 });
  });

  it('is refused for a config from standard input', async () => {
    const { reloader } = await start('-');
    reloader.reload();
    await ended(reloader);
    expect(reloader.last?.errors).toEqual([
      'a config from standard input cannot be read again: start with --config FILE to be able to reload',
    ]);
  });
});

it('refuses to reload a daemon without workers', async () => {
  const { reloader: running } = await start();
  const reloader = new Reloader(undefined, running.current, {
    command: { set: [] },
    passed: new Map(),
    clock,
    log: log as unknown as Logger,
    onStart() {},
    onReplaced() {},
    onEnd() {},
  });
  reloader.reload();
  await ended(reloader);
  expect(reloader.last?.errors).toEqual(['a daemon without workers cannot reload: restart it']);
});
