import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DaemonProcess, fixtures, isRunning, temporaryDirectory, writeConfig } from '../support/daemon-process.ts';
import { canListen, freePort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';

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

it('keeps its sockets once it has served, even if its workers call the config invalid, and serves again', async () => {
  const file = join(temporaryDirectory(), 'quotations');
  writeFileSync(file, 'Still here.\n', { mode: 0o644 });
  const qotd = { listen: ['tcp://127.0.0.1:0'], file };
  const daemon = await DaemonProcess.serve({ workers: 2, services: { qotd } });
  const target = daemon.target('qotd', 'tcp');
  renameSync(file, `${file}.away`);
  for (const { pid } of (await daemon.state()).workers ?? []) process.kill(pid, 'SIGKILL');
  for (const worker of [1, 2]) await daemon.line('worker exited, restarting', { worker, exitCode: 78 });
  const client = await TcpClient.connect(target);
  renameSync(`${file}.away`, file);
  expect((await client.takeAll()).toString()).toBe('Still here.\r\n');
  for (const worker of [1, 2]) await daemon.line('worker ready again', { worker });
});
