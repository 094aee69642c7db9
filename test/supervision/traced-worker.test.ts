import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DaemonProcess, fixtures, isRunning, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';
import { until } from '../support/wait.ts';

const echo = { listen: ['tcp://127.0.0.1:0'] };
const traced = { module: join(fixtures, 'traced.js'), listen: ['tcp://127.0.0.1:0'] };

/** A daemon whose only worker is traced, with the ids of both. */
async function serveTraced(): Promise<{ readonly daemon: DaemonProcess; readonly worker: number }> {
  const daemon = await DaemonProcess.serve({ workers: 1, shutdown: { grace: '100ms' }, services: { traced, echo } });
  const client = await TcpClient.connect(daemon.target('traced', 'tcp'));
  const [worker = 0, tracer = 0] = (await client.takeAll()).toString().split(' ').map(Number);
  expect(readFileSync(`/proc/${worker}/status`, 'utf8')).toMatch(new RegExp(`^TracerPid:\t${tracer}$`, 'm'));
  onTestFinished(() => kill(tracer));
  return { daemon, worker };
}

function kill(pid: number): void {
  if (isRunning(pid)) process.kill(pid, 'SIGKILL');
}

/** As any program of the user of the process can, see prlimit(2). */
function lowerLimit(pid: number): void {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [uid, gid] = ['Uid', 'Gid'].map((name) => Number(new RegExp(`^${name}:\t(\\d+)`, 'm').exec(status)?.[1]));
  const identity = process.geteuid?.() === 0 && uid !== undefined && gid !== undefined ? { uid, gid } : {};
  execFileSync('prlimit', ['--pid', String(pid), '--nofile=0:0'], identity);
}

async function answers(daemon: DaemonProcess): Promise<void> {
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  client.socket.end('here');
  expect((await client.takeAll()).toString()).toBe('here');
}

describe('a worker whose end another process hides', () => {
  it('is replaced', async () => {
    const { daemon, worker } = await serveTraced();
    process.kill(worker, 'SIGKILL');
    await daemon.line('worker exited, restarting', { pid: worker });
    await daemon.line('worker ready again');
    await answers(daemon);
  });

  it('does not hold up a stop', async () => {
    const { daemon } = await serveTraced();
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a worker whose limit on open files another process lowers', () => {
  it('is replaced', async () => {
    const daemon = await DaemonProcess.serve({ workers: 1, services: { echo } });
    const [{ pid } = { pid: 0 }] = await daemon.workers();
    lowerLimit(pid);
    await daemon.line('limit on open files of worker lowered, killing it', { worker: 1, openFilesLimit: 0 });
    await daemon.line('worker exited, restarting', { pid });
    await daemon.line('worker ready again');
    await answers(daemon);
  });
});

// Only under root does a process of its own serve the endpoint, or check a config.
if (process.geteuid?.() === 0) {
  describe('the admin process whose limit on open files another process lowers', () => {
    it('is replaced', async () => {
      const port = await freePort();
      const admin = { listen: `tcp://127.0.0.1:${port}` };
      const daemon = DaemonProcess.spawn(['--config', writeConfig({ admin, workers: 1, services: { echo } })]);
      await daemon.line('ready');
      const pid = childOf(daemon.pid, 'admin');
      lowerLimit(pid);
      await daemon.line('limit on open files of admin process lowered, killing it', { openFilesLimit: 0 });
      await daemon.line('admin process exited, restarting', { signal: 'SIGKILL' });
      // The supervisor keeps the socket, so this waits for the next process.
      expect((await fetch(`http://127.0.0.1:${port}/livez`)).ok).toBe(true);
    });
  });

  describe('check of a module that hides its end', () => {
    it('says so, and ends', async () => {
      const config = writeConfig({ services: { traced } });
      const check = DaemonProcess.spawn(['check', '--config', config], {}, false);
      await until(() => check.exit !== undefined || tracerOf(check.pid) > 0, 'the tracer');
      const tracer = tracerOf(check.pid);
      onTestFinished(() => kill(tracer));
      expect(await check.closed()).toBe(1);
      expect(check.stderr).toBe('smallservd: another process traces the check and hides its result\n');
    });
  });
}

/** The child process that runs a program of this directory. */
function childOf(pid: number, program: string): number {
  return childrenOf(pid).find((child) => commandOf(child).includes(`/${program}/`)) ?? 0;
}

function tracerOf(pid: number): number {
  const grandchildren = childrenOf(pid).flatMap(childrenOf);
  return grandchildren.find((each) => commandOf(each).includes('ptrace')) ?? 0;
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
