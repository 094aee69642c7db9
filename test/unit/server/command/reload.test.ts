import { describe, expect, it } from 'vitest';
import type { ProcessHandle } from '../../../../src/kernel/process-handle.ts';
import type { ProcFiles } from '../../../../src/server/command/listener-owner.ts';
import { resultOf, signalDaemon } from '../../../../src/server/command/reload.ts';
import { snapshot } from '../admin/snapshot.ts';

it('waits for two minutes in total, even if answers are slow', async () => {
  const before = snapshot();
  let nowMs = 0;
  let asked = 0;
  const client = {
    async snapshot() {
      asked += 1;
      nowMs += 50_000;
      return before;
    },
  };
  await expect(resultOf(client, before, { monotonicMs: () => nowMs })).rejects.toMatchObject({
    code: 'RELOAD_NOT_ASKED',
    message: 'no result after 120 s: see the log',
  });
  expect(asked).toBe(3);
});

describe('signalDaemon', () => {
  const files = new Map([
    ['50/status', 'Name:\tnode\nPPid:\t1\nUid:\t0\t0\t0\t0\n'],
    ['50/cmdline', 'node\0/usr/lib/smallservd/dist/smallservd.js\0'],
  ]);
  const client = { name: 'unix:///run/admin.sock', connectedTo: { path: '/run/admin.sock', listenerPid: 50 } };

  /** A system with process 50, which ends when its file `lastRead` has been read. Another one then gets its number. */
  function withDaemon(lastRead?: string) {
    const steps: string[] = [];
    let hasEnded = false;
    const proc: ProcFiles = {
      read(path) {
        steps.push(path);
        hasEnded ||= path === lastRead;
        return files.get(path);
      },
      lines: () => [],
      link: () => '/usr/bin/node',
      list: () => undefined,
      ownAddresses: [],
      uid: 0,
    };
    const open = (pid: number): ProcessHandle => {
      steps.push(`open ${pid}`);
      return {
        signal(name) {
          if (hasEnded) throw Object.assign(new Error('kill ESRCH'), { code: 'ESRCH' });
          steps.push(name);
        },
        close: () => void steps.push('close'),
      };
    };
    return { steps, proc, open };
  }

  it('signals the process that it opened before the checks', () => {
    const { steps, ...processes } = withDaemon();
    signalDaemon(50, client, processes);
    expect(steps).toEqual(['open 50', '50/status', '50/cmdline', 'SIGHUP', 'close']);
  });

  it('signals nobody if the process ends during the checks, and another one gets its number', () => {
    const { steps, ...processes } = withDaemon('50/cmdline');
    expect(() => signalDaemon(50, client, processes)).toThrow('cannot send HUP to process 50: no such process');
    expect(steps).toEqual(['open 50', '50/status', '50/cmdline', 'close']);
  });

  it('signals nobody if there was no process before the checks', () => {
    const { steps, proc } = withDaemon();
    expect(() => signalDaemon(50, client, { proc, open: () => undefined })).toThrow('no such process');
    expect(steps).toEqual(['50/status', '50/cmdline']);
  });

  it('signals no process that does not listen there', () => {
    const { steps, ...processes } = withDaemon();
    const elsewhere = { ...client, connectedTo: { path: '/run/admin.sock', listenerPid: 60 } };
    expect(() => signalDaemon(50, elsewhere, processes)).toThrow('another process listens there');
    expect(steps.at(-1)).toBe('close');
  });
});
