import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseStat, readActivity } from '../../../../src/server/supervisor/activity.ts';
import { until, within } from '../../../support/wait.ts';

/** A fresh machine may have none. CI counts a skipped test as failed. */
const hasPython = spawnSync('python3', ['--version']).status === 0;

/** A process that runs this JavaScript, by its ID. It ends with the test. */
function running(code: string): number {
  const child = spawn(process.execPath, ['-e', code], { stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
  if (child.pid === undefined) throw new Error('the process did not start');
  return child.pid;
}

describe('parseStat', () => {
  it('finds the fields, whatever the name of the process is', () => {
    const rest = 'S 1 2 3 0 -1 4194304 900 80 7 6 150 25 1 1 20 0 11 0 5000';
    for (const name of ['node', 'a b', ') R 9 (', '('])
      expect(parseStat(`42 (${name}) ${rest}`)).toEqual({ state: 'S', threads: 11, majorFaults: 7, cpuMs: 1750 });
  });

  it.each(['', '42', '42 (node) S 1 2', '42 (node)'])('returns nothing for %j', (text) => {
    expect(parseStat(text)).toBeUndefined();
  });
});

describe.runIf(process.platform === 'linux')('readActivity', () => {
  it('sees a process that spins', async () => {
    const pid = running('for (;;);');
    await until(() => (readActivity(pid)?.cpuMs ?? 0) >= 100, '100 ms of CPU time');
    expect(readActivity(pid)?.isRunnable).toBe(true);
  });

  it('sees a thread that spins while the main thread waits for it', async () => {
    const worker = "new (require('node:worker_threads').Worker)('for (;;);', { eval: true });";
    const pid = running(`${worker} Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`);
    await until(() => (readActivity(pid)?.cpuMs ?? 0) >= 500, 'more CPU time than it takes to start');
    expect(readActivity(pid)?.isRunnable).toBe(true);
  });

  it('sees that a process sleeps, and that one is stopped', async () => {
    const [sleeping, stopped] = [running('setInterval(() => {}, 1e6)'), running('for (;;);')];
    await until(() => readActivity(sleeping)?.isRunnable === false, 'a sleeping process');
    process.kill(stopped, 'SIGSTOP');
    await until(() => readActivity(stopped)?.isRunnable === false, 'a stopped process');
  });

  it.skipIf(!hasPython)('looks at no threads if there are very many', async () => {
    const code = `
import threading, time
for each in range(100): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
def spin():
    print(flush=True)
    while True: pass
threading.Thread(target=spin, daemon=True).start()
time.sleep(60)`;
    const child = spawn('python3', ['-c', code], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const pid = child.pid ?? 0;
    await within(once(child.stdout, 'data'), 'a thread that spins');
    // The main thread sleeps, as soon as it gets that far.
    const looks = (): readonly unknown[] => Array.from({ length: 20 }, () => readActivity(pid)?.isRunnable);
    await until(
      () => looks().every((isRunnable) => isRunnable === false),
      'looks that do not see the thread that spins',
    );
  });

  it('returns nothing for a process that is gone', () => {
    expect(readActivity(2 ** 30)).toBeUndefined();
  });
});
