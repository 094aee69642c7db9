import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openByStartTime, openProcess } from '../../../src/kernel/process-handle.ts';

async function start(): Promise<{ readonly child: ChildProcess; readonly pid: number }> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'spawn');
  return { child, pid: child.pid ?? 0 };
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe.each([
  ['openProcess', openProcess],
  ['openByStartTime', (pid: number) => openByStartTime(pid)],
])('%s', (_, open) => {
  it('signals the process', async () => {
    const { child, pid } = await start();
    const handle = open(pid);
    handle?.signal('SIGHUP');
    expect(await once(child, 'exit')).toEqual([null, 'SIGHUP']);
    handle?.close();
  });

  it('signals nobody after the end of the process', async () => {
    const { child, pid } = await start();
    const handle = open(pid);
    await end(child);
    expect(() => handle?.signal('SIGHUP')).toThrow(expect.objectContaining({ code: 'ESRCH' }));
    handle?.close();
  });

  it('finds no process that has ended', async () => {
    const { child, pid } = await start();
    await end(child);
    expect(open(pid)).toBeUndefined();
  });
});

it.each([-1, 0, 1.5, 2 ** 31, 2 ** 32 + process.pid, Number.NaN])('openProcess finds no process %d', (pid) => {
  expect(openProcess(pid)).toBeUndefined();
});

it('openByStartTime does not signal another process with the same number', async () => {
  const { child, pid } = await start();
  let started = '4711';
  const handle = openByStartTime(pid, () => started);
  started = '4712';
  expect(() => handle?.signal('SIGKILL')).toThrow(expect.objectContaining({ code: 'ESRCH' }));
  started = '4711';
  handle?.signal('SIGTERM');
  expect(await once(child, 'exit')).toEqual([null, 'SIGTERM']);
});

function openPidfds(): number {
  const links = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      // That of the directory itself.
      return '';
    }
  });
  return links.filter((link) => link.includes('pidfd')).length;
}

it.runIf(process.platform === 'linux')('openProcess leaves no descriptor open', () => {
  const before = openPidfds();
  const handles = Array.from({ length: 50 }, () => openProcess(process.pid));
  for (const handle of handles) handle?.close();
  expect(openPidfds()).toBe(before);
});
