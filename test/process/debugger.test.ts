import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DaemonProcess, inOneProcess, runToEnd, temporaryDirectory, writeConfig } from '../support/daemon-process.ts';
import { ToolProcess } from '../support/tool-process.ts';
import { until } from '../support/wait.ts';

const services = { echo: { listen: ['tcp://127.0.0.1:0'] } };
const isRoot = process.geteuid?.() === 0;

/** What a process is to be given: all of it would reach Node, and open its debugger or run code. */
const environment = { NODE_OPTIONS: '--no-warnings', NODE_DEBUG: 'none', NODE_PATH: '/nonexistent' };

describe('SIGUSR1', () => {
  it.each([
    ['with workers', {}],
    ['in one process', inOneProcess],
  ])('does not open a debugger in any process of a daemon %s', async (_how, how) => {
    const daemon = await DaemonProcess.serve({ workers: 2, ...how, admin: { listen: 'tcp://127.0.0.1:0' }, services });
    const pids = [daemon.pid, ...childrenOf(daemon.pid)];
    // Two workers; and under root the process of the admin endpoint.
    expect(pids).toHaveLength(1 + ('workers' in how ? 0 : 2) + (isRoot ? 1 : 0));
    const before = pids.map(listeningSockets);
    // A Node of no special kind opens its own meanwhile: ours had their time.
    const bare = await bareNode();
    for (let turn = 0; turn < 3; turn += 1) {
      for (const pid of pids) process.kill(pid, 'SIGUSR1');
      await daemon.state();
    }
    process.kill(bare, 'SIGUSR1');
    await until(() => listeningSockets(bare).length > 0, 'the debugger of a bare Node');
    expect(pids.map(listeningSockets)).toEqual(before);
    expect([daemon.pid, ...childrenOf(daemon.pid)]).toEqual(pids);
    expect(daemon.stderr).toBe('');
    expect(await daemon.stop()).toBe(0);
  });

  it('never leaves a starting daemon running with an open debugger', async () => {
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ workers: 1, services })]);
    // Before Node takes it, the signal ends the process.
    await until(() => takesSignal(daemon.pid, 'SIGUSR1') || daemon.exit !== undefined, 'a Node that takes SIGUSR1');
    daemon.signal('SIGUSR1');
    await until(() => daemon.exit !== undefined || daemon.linesWith('ready').length > 0, 'the start, or the end of it');
    if (daemon.exit === undefined) {
      // It came when our code had taken it over.
      expect(daemon.stderr).not.toContain('Debugger listening');
      expect(await daemon.stop()).toBe(0);
    } else {
      expect(daemon.exit.signal).toBe('SIGABRT');
      expect(daemon.stderr).toContain('the Node.js debugger is open, refusing to run');
    }
  });

  it('neither opens a debugger in a client tool nor terminates it', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const asked = once(server, 'connection');
    const tool = new ToolProcess(['daytime', `127.0.0.1:${port}`, '--timeout', '60s']);
    const [client] = (await asked) as [Socket];
    tool.signal('SIGUSR1');
    // A Node of no special kind opens its own meanwhile.
    const bare = await bareNode();
    process.kill(bare, 'SIGUSR1');
    await until(() => listeningSockets(bare).length > 0, 'the debugger of a bare Node');
    client.end('now\r\n');
    expect(await tool.ended()).toEqual({ code: 0, stdout: 'now\n', stderr: '' });
  });

  it('reopens the log file without reloading the config', async () => {
    const directory = temporaryDirectory(0o755);
    const log = join(directory, 'log');
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ workers: 1, log: { file: log }, services })]);
    const linesWith = (text: string): number => {
      try {
        return readFileSync(log, 'utf8')
          .split('\n')
          .filter((line) => line.includes(text)).length;
      } catch {
        return 0;
      }
    };
    await until(() => linesWith('"msg":"ready"') === 1, 'the start');
    daemon.signal('SIGUSR1');
    await until(() => linesWith('log file reopened') === 1, 'the line about it');
    daemon.signal('SIGTERM');
    expect(await daemon.closed()).toBe(0);
    expect(linesWith('reload')).toBe(0);
  });
});

describe('the environment', () => {
  it('aborts the daemon if NODE_OPTIONS contains --inspect', async () => {
    const env = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };
    const { code, stderr, stdout } = await runToEnd(['--config', writeConfig({ workers: 1, services })], { env });
    // At once: an orderly end would wait for whoever is connected.
    expect(code).toBe('SIGABRT');
    expect(stderr).toContain('the Node.js debugger is open, refusing to run: remove --inspect from NODE_OPTIONS\n');
    expect(stdout).toBe('');
  });

  it('aborts the daemon even while a debugger client is connected', async () => {
    const env = { NODE_OPTIONS: '--inspect-brk=127.0.0.1:0' };
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ workers: 1, services })], { env });
    const address = (): RegExpExecArray | null => /ws:\/\/127\.0\.0\.1:(\d+)(\S+)/.exec(daemon.stderr);
    await until(() => address() !== null, 'the debugger');
    const [, port, path] = address() ?? [];
    const connected = await debuggerAt(Number(port), String(path));
    // Node loses it if it comes before the process waits.
    const goOn = setInterval(() => connected.write(frame({ id: 1, method: 'Runtime.runIfWaitingForDebugger' })), 50);
    onTestFinished(() => clearInterval(goOn));
    await until(() => daemon.exit !== undefined, 'the end of the daemon');
    expect(daemon.exit?.signal).toBe('SIGABRT');
  });

  it('is passed to children without the Node variables', async () => {
    const config = { workers: 1, admin: { listen: 'tcp://127.0.0.1:0' }, services };
    const daemon = await DaemonProcess.serve(config, { env: { ...environment, KEPT: 'yes' } });
    const children = childrenOf(daemon.pid);
    expect(children).toHaveLength(isRoot ? 2 : 1);
    for (const child of children) {
      const variables = readFileSync(`/proc/${child}/environ`, 'utf8').split('\0');
      expect(variables).toContain('KEPT=yes');
      for (const variable of variables) expect(variable).not.toMatch(/^NODE_(?!CHANNEL_|UNIQUE_ID)/);
    }
  });
});

/** Whether the process has a handler for the signal: proc_pid_status(5), SigCgt. */
function takesSignal(pid: number, signal: NodeJS.Signals): boolean {
  const caught = /^SigCgt:\t([0-9a-f]+)$/m.exec(statusOf(pid))?.[1] ?? '0';
  return ((BigInt(`0x${caught}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    // It has ended.
    return '';
  }
}

/** A WebSocket to a debugger, RFC 6455 section 4.1. */
async function debuggerAt(port: number, path: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const key = Buffer.alloc(16).toString('base64');
  const headers = [
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
  ];
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${headers.join('\r\n')}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 /);
  return socket;
}

/** A short text frame from a client, with a mask of zeros. */
function frame(message: object): Buffer {
  const payload = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** A Node that does what Node does at SIGUSR1. */
async function bareNode(): Promise<number> {
  const child = spawn(process.execPath, ['--inspect-port=0', '--eval', 'console.log(); setInterval(() => {}, 1000);']);
  onTestFinished(() => void child.kill('SIGKILL'));
  let isUp = false;
  child.stdout.on('data', () => {
    isUp = true;
  });
  await until(() => isUp, 'a bare Node');
  return child.pid ?? 0;
}

/** The inodes of a process's TCP sockets that listen. */
function listeningSockets(pid: number): readonly string[] {
  const listening = new Set(
    ['tcp', 'tcp6'].flatMap((table) =>
      readFileSync(`/proc/net/${table}`, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , , state]) => state === '0A')
        .map((fields) => `socket:[${fields[9]}]`),
    ),
  );
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory)
    .map((descriptor) => linkOf(join(directory, descriptor)))
    .filter((target) => listening.has(target))
    .sort();
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed since the directory was read.
    return '';
  }
}

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
