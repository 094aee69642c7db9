/** A starved or stopped daemon loses nobody, a hung worker ends with it, and `workers: auto` fits where it runs. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, type TestContext } from 'vitest';
import {
  DaemonProcess,
  fixtures,
  isRunning,
  type ProcessOptions,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { TcpClient } from '../support/tcp.ts';
import { until } from '../support/wait.ts';
import { ControlGroup, type Limits } from './control-group.ts';
import { childrenOf, daemonProgram, identityOf, needs } from './machine.ts';

needs('getent');

const listen = ['tcp://127.0.0.1:0'];
const mebibyte = 2 ** 20;

/** A group with these limits; skips the test where the machine has none to give. */
function groupOf(limits: Limits, { skip }: TestContext): ControlGroup {
  const group = ControlGroup.make(limits);
  if (typeof group === 'string') skip(group);
  return group as ControlGroup;
}

/** Options that start the daemon in a group. */
function inside(group: ControlGroup): ProcessOptions {
  return { command: group.inside(daemonProgram) as [string, ...string[]] };
}

async function saysBack(client: TcpClient, text: string): Promise<void> {
  const before = client.length;
  client.write(text);
  expect((await client.take(before + text.length)).toString().slice(before)).toBe(text);
}

/** No process was lost or replaced, and none was suspected. */
function expectNoLoss(daemon: DaemonProcess, children: readonly number[]): void {
  expect(childrenOf(daemon.pid)).toEqual(children);
  expect(daemon.lines.filter(({ level }) => level === 'error')).toEqual([]);
}

describe('a daemon with one fiftieth of a processor', () => {
  it('comes up, keeps all its processes, and stops', { timeout: 300_000 }, async (context) => {
    const group = groupOf({ cpus: 0.02 }, context);
    const admin = { listen: `unix://${join(temporaryDirectory(), 'admin.sock')}` };
    const config = writeConfig({ workers: 2, admin, services: { echo: { listen } } });
    const daemon = DaemonProcess.spawn(['--config', config], inside(group));
    await daemon.waitFor(() => daemon.linesWith('ready').length > 0, 'the start', 240_000);
    const children = childrenOf(daemon.pid);
    expect(children).toHaveLength(3);
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    await saysBack(client, 'slowly');
    client.finish();
    await client.gone();
    expectNoLoss(daemon, children);
    daemon.signal('SIGTERM');
    await daemon.waitFor(() => daemon.exit !== undefined, 'the end', 60_000);
    expect(daemon.exit?.code).toBe(0);
  });

  it('has one worker with `workers: auto`', { timeout: 300_000 }, async (context) => {
    const group = groupOf({ cpus: 0.2 }, context);
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ services: { echo: { listen } } })], inside(group));
    await daemon.waitFor(() => daemon.linesWith('ready').length > 0, 'the start', 60_000);
    expect(daemon.linesWith('starting')).toMatchObject([{ workerCount: 1, workersLimit: { cpus: 0.2 } }]);
  });
});

describe('a daemon in 64 MiB', () => {
  it('serves in one process with `workers: auto`', async (context) => {
    const memoryBytes = 64 * mebibyte;
    const group = groupOf({ memoryBytes }, context);
    const admin = { listen: `unix://${join(temporaryDirectory(), 'admin.sock')}` };
    const daemon = await DaemonProcess.serve({ admin, services: { echo: { listen } } }, inside(group));
    expect(daemon.linesWith('starting')).toMatchObject([{ workerCount: 0, workersLimit: { memoryBytes } }]);
    expect(childrenOf(daemon.pid)).toEqual([]);
    const target = daemon.target('echo', 'tcp');
    const clients = await Promise.all(Array.from({ length: 200 }, async () => TcpClient.connect(target)));
    await Promise.all(clients.map(async (client) => saysBack(client, 'x'.repeat(10_000))));
    expect(group.killed).toBe(0);
    for (const client of clients) client.finish();
    expect(await daemon.stop()).toBe(0);
  });

  it('has a worker if only a supervisor can open its ports', async (context) => {
    const group = groupOf({ memoryBytes: 64 * mebibyte }, context);
    const echo = { listen: ['tcp://127.0.0.1:999'] };
    const daemon = await DaemonProcess.serve({ services: { echo } }, inside(group));
    expect(daemon.linesWith('starting')).toMatchObject([{ workerCount: 1 }]);
  });
});

describe('a daemon that is stopped for longer than every deadline', () => {
  it('loses no process and no client', { timeout: 120_000 }, async () => {
    const admin = { listen: `unix://${join(temporaryDirectory(), 'admin.sock')}` };
    const daemon = await DaemonProcess.serve({
      workers: 2,
      admin,
      defaults: { idleTimeout: '8s', stallTimeout: '8s' },
      services: { echo: { listen }, chargen: { listen, maxBytes: '64MiB' } },
    });
    const children = childrenOf(daemon.pid);
    expect(children).toHaveLength(3);
    const talking = await TcpClient.connect(daemon.target('echo', 'tcp'));
    await saysBack(talking, 'before');
    // Output waits in the daemon for this one.
    const behind = await TcpClient.connect(daemon.target('chargen', 'tcp'), { reads: false });
    // A deadline counts from the next look at the client, and the daemon looks once a second.
    await pause(2500);
    daemon.signalGroup('SIGSTOP');
    await pause(15_000);
    daemon.signalGroup('SIGCONT');
    // The deadlines of both have passed meanwhile.
    await pause(2500);
    await saysBack(talking, 'after');
    behind.socket.resume();
    await until(() => behind.socket.bytesRead > 16 * mebibyte, 'more output than was waiting');
    behind.socket.destroy();
    // Longer than a silent process would be given.
    await pause(6000);
    expectNoLoss(daemon, children);
    await saysBack(talking, 'at last');
    expect(daemon.linesWith('closed')).toMatchObject([{ service: 'chargen', reason: 'client-reset' }]);
  });
});

describe('a worker in an endless loop, as another user', () => {
  it('ends within ten seconds if the supervisor is killed', async () => {
    const hangs = { module: join(fixtures, 'hangs.js'), listen };
    const daemon = await DaemonProcess.serve({ workers: 1, services: { hangs } });
    const [hung = 0] = childrenOf(daemon.pid);
    expect(identityOf(hung).uids).not.toContain(0);
    const client = await TcpClient.connect(daemon.target('hangs', 'tcp'));
    client.write('!');
    await daemon.line('worker printed a line', { output: 'hanging' });
    daemon.signal('SIGKILL');
    await until(() => !isRunning(hung), 'the end of the worker');
  });
});
