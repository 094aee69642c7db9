import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DaemonProcess, fixtures, isRunning, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until } from '../support/wait.ts';

/** The descriptor of a worker's reports. */
const reports = 3;

const turncoat = { module: join(fixtures, 'turncoat.js'), listen: ['tcp://127.0.0.1:0'] };
const echo = { listen: ['tcp://127.0.0.1:0'] };

/**
 * What a worker says, what is found wrong with it, and how often it says it. More of the kinds are in
 * test/unit/server/supervisor.
 */
const messages: readonly (readonly [what: string, text: string, fault: RegExp, times?: number])[] = [
  ['counters that are not a list', line({ type: 'heartbeat', counters: 5 }), /^counters: expected Array/],
  ['listeners that were not requested', line({ type: 'ready', opened: 7 }), /^opened: expected never/],
  ['a prototype', '{"type":"loaded","__proto__":{"type":"ready"}}\n', /^__proto__: expected never/],
  ['JSON nested deeply enough to overflow the stack', `${'['.repeat(400_000)}\n`, /not JSON|^type|^the report/],
  ['100 MB in one line', 'x'.repeat(1_000_000), /more than \d+ bytes/, 100],
  [
    'the same report 1000 times',
    line({ type: 'failed', code: 'LISTEN_FAILED', message: 'x' }),
    /more than 200 messages/,
    1000,
  ],
  ['a second ready report', line({ type: 'ready' }), /^type: unexpected "ready"/],
  ['text other than JSON', 'hello\n', /not JSON/],
  ['a message of node:cluster', line({ cmd: 'NODE_CLUSTER', act: 'queryServer', seq: 1 }), /^type: expected/],
  ["a message of Node's own channel", line({ cmd: 'NODE_HANDLE', type: 'net.Server' }), /^type: expected/],
];

describe('a worker that attacks its supervisor', () => {
  it.each(messages.map(([what, text, fault, times = 1]) => ({ what, text, fault, times })))(
    'is the only worker killed, and the error is logged, when it sends $what',
    async ({ text, fault, times }) => {
      const daemon = await DaemonProcess.serve({ workers: 2, services: { turncoat, echo } });
      const client = await TcpClient.connect(daemon.target('turncoat', 'tcp'));
      await until(() => client.text.endsWith('\n'), 'the process id');
      const pid = Number(client.text);
      client.socket.write(line({ descriptor: reports, text, times }));

      const { worker, error } = await daemon.line('worker sent an invalid report, killing it');
      expect(error).toMatch(fault);
      await daemon.line('worker exited, restarting', { worker, pid, signal: 'SIGKILL' });
      await daemon.line('worker ready again', { worker });
      expect(isRunning(daemon.pid)).toBe(true);
      expect(daemon.linesWith('worker exited, restarting')).toHaveLength(1);
      const next = await TcpClient.connect(daemon.target('echo', 'tcp'));
      next.socket.end('after');
      await until(() => next.ended, 'the end of an echo');
      expect(next.text).toBe('after');
      expect(await daemon.stop()).toBe(0);
    },
  );
});

describe('a worker that does not say that it has stopped', () => {
  it('holds up neither a reload nor the UDP sockets until its clients have gone', async () => {
    const sulker = { module: join(fixtures, 'sulker.js'), listen: ['tcp://127.0.0.1:0'] };
    const both = { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] };
    const daemon = await DaemonProcess.serve({ workers: 1, services: { sulker, echo: both } });
    const [{ pid } = { pid: 0 }] = await daemon.workers();
    await TcpClient.connect(daemon.target('sulker', 'tcp'));
    daemon.signal('SIGHUP');
    await daemon.line('config reloaded');
    expect(isRunning(pid)).toBe(false);
    const datagrams = await UdpClient.open('127.0.0.1');
    expect(String(await datagrams.ask('here', daemon.target('echo', 'udp')))).toBe('here');
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a worker that asks for more than it was given', () => {
  it('finds nobody to ask, and cannot bind a privileged port', async () => {
    const asker = { module: join(fixtures, 'asker.js'), listen: ['tcp://127.0.0.1:0'] };
    const daemon = await DaemonProcess.serve({ workers: 2, services: { asker, echo } });
    const client = await TcpClient.connect(daemon.target('asker', 'tcp'));
    await until(() => client.text.endsWith('\n'), 'what it got');
    const isPrivileged = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) > 81;
    expect(JSON.parse(client.text)).toEqual({
      send: 'undefined',
      isClusterWorker: false,
      port81: isPrivileged ? 'EACCES' : 'bound',
    });
    expect(await daemon.stop()).toBe(0);
  });
});

describe('urgent bytes that a worker sends its supervisor', () => {
  const urgent = { module: join(fixtures, 'urgent.js'), listen: ['tcp://127.0.0.1:0'] };
  it('are counted like all others among its reports', async () => {
    const daemon = await DaemonProcess.serve({ workers: 1, services: { urgent, echo } });
    (await TcpClient.connect(daemon.target('urgent', 'tcp'))).write(
      JSON.stringify({ descriptor: reports, text: 'x'.repeat(100) }),
    );
    // They spoil the next report.
    expect(await daemon.line('worker sent an invalid report, killing it')).toMatchObject({ worker: 1 });
    await daemon.line('worker ready again', { worker: 1 });
    expect(await daemon.stop()).toBe(0);
  });

  it('are read like all others of its output, so that its pace holds for them', async () => {
    const daemon = await DaemonProcess.serve({ workers: 1, services: { urgent, echo } });
    const target = daemon.target('urgent', 'tcp');
    const text = JSON.stringify({ level: 'warn', msg: 'sent as urgent' });
    (await TcpClient.connect(target)).write(JSON.stringify({ descriptor: 2, text }));
    await daemon.line('worker printed a line', { output: text });
    (await TcpClient.connect(target)).write(JSON.stringify({ descriptor: 1, text }));
    await daemon.line('sent as urgent');
    expect(await daemon.stop()).toBe(0);
  });
});

describe('descriptors that a worker sends its supervisor', () => {
  const smuggler = { module: join(fixtures, 'smuggler.js'), listen: ['tcp://127.0.0.1:0'] };
  const failed = line({ type: 'failed', code: 'LISTEN_FAILED', message: 'x' });

  it.each([
    ['to a file', { descriptor: reports, file: '/dev/null', text: failed, times: 100 }],
    ['of a kind unknown to Node', { descriptor: reports, file: 'epoll', text: failed, times: 100 }],
  ])('%s are closed', async (_what, order) => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { smuggler, echo } });
    const client = await TcpClient.connect(daemon.target('smuggler', 'tcp'));
    await until(() => client.text.endsWith('\n'), 'the process id');
    const worker = (await daemon.workers()).find(({ pid }) => pid === Number(client.text));
    const before = openFiles(daemon.pid);
    client.socket.write(JSON.stringify(order));
    // What it says next is heard after them: nothing of it is wrong but the descriptors, which nobody sees.
    await until(() => openFiles(worker?.pid ?? 0) > 0, 'the worker');
    await daemon.state();
    expect(openFiles(daemon.pid)).toBeLessThanOrEqual(before + 2);
    client.socket.destroy();
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a worker that makes the last close of a shared listener wait', () => {
  const hostile = { module: join(fixtures, 'lingering-listener.js') };

  async function trapped(): Promise<{ readonly daemon: DaemonProcess; readonly file: string; readonly kept: string }> {
    const [kept, removed] = [await freePort(), await freePort()].map((port) => `tcp://127.0.0.1:${port}`);
    if (kept === undefined || removed === undefined) throw new Error('no ports');
    const file = writeConfig({ workers: 1, services: { hostile: { ...hostile, listen: [kept, removed] }, echo } });
    const daemon = DaemonProcess.spawn(['--config', file]);
    await daemon.line('ready');
    const client = await TcpClient.connect({ host: '127.0.0.1', port: Number(new URL(kept).port) });
    client.write(new URL(removed).port);
    expect((await client.takeAll()).toString()).toBe('set\n');
    return { daemon, file, kept };
  }

  it('does not hold up a reload that removes it', async () => {
    const { daemon, file, kept } = await trapped();
    writeFileSync(file, JSON.stringify({ workers: 1, services: { hostile: { ...hostile, listen: [kept] }, echo } }));
    daemon.signal('SIGHUP');
    await daemon.line('config reloaded');
    expect(await daemon.workers()).toHaveLength(1);
    expect(await daemon.stop()).toBe(0);
  });

  it('does not hold up a stop', async () => {
    const { daemon } = await trapped();
    expect(await daemon.stop()).toBe(0);
  });
});

describe('an orphaned child of a worker', () => {
  it('keeps no descriptor open in the supervisor', async () => {
    const mother = { module: join(fixtures, 'leaves-child.js'), listen: ['tcp://127.0.0.1:0'] };
    const daemon = await DaemonProcess.serve({ workers: 1, services: { mother, echo } });
    const client = await TcpClient.connect(daemon.target('mother', 'tcp'));
    await until(() => client.text.endsWith('\n'), 'the process ids');
    const [worker = 0, child = 0] = client.text.split(' ').map(Number);
    const before = openFiles(daemon.pid);
    try {
      process.kill(worker, 'SIGKILL');
      await daemon.line('worker ready again');
      expect(isRunning(child)).toBe(true);
      await until(() => openFiles(daemon.pid) <= before, 'the descriptors of the dead worker to be closed');
      expect(await daemon.stop()).toBe(0);
    } finally {
      process.kill(child, 'SIGKILL');
    }
  });
});

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function line(message: unknown): string {
  return `${JSON.stringify(message)}\n`;
}
