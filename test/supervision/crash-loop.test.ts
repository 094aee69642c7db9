import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DaemonProcess, fixtures, isRunning, writeConfig } from '../support/daemon-process.ts';
import { canListen, freePort } from '../support/ports.ts';

it('exits with 70 and frees the ports when its workers keep exiting', { timeout: 60_000 }, async () => {
  const port = await freePort();
  const services = {
    echo: { listen: [`tcp://127.0.0.1:${port}`] },
    frail: { module: join(fixtures, 'dies-at-start.js'), listen: ['tcp://127.0.0.1:0'] },
  };
  const daemon = DaemonProcess.spawn(['--config', writeConfig({ workers: 2, services })]);
  // Five deaths of each worker, the starts at least 1, 2, 4 and 8 seconds apart.
  await daemon.waitFor(() => daemon.exit !== undefined, 'the end', 45_000);
  expect(await daemon.closed()).toBe(70);
  const deaths = daemon.linesWith('worker exited, restarting');
  expect(deaths.filter(({ worker }) => worker === 1)).toHaveLength(5);
  expect(deaths.filter(({ worker }) => worker === 2)).toHaveLength(5);
  expect(deaths.every(({ signal }) => signal === 'SIGKILL')).toBe(true);
  expect(daemon.linesWith('ready')).toEqual([]);
  expect(daemon.linesWith('workers keep exiting, giving up')).toHaveLength(1);
  expect(daemon.stderr).toBe('smallservd: workers keep exiting, giving up: see the log\n');
  expect(deaths.filter(({ pid }) => isRunning(Number(pid)))).toEqual([]);
  await expect(canListen(port)).resolves.toBe(true);
});
