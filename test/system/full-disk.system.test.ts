import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, type LogLine } from './program.ts';

needs('ip', 'nc', 'unshare', 'mount');

/**
 * A service that writes long lines into the log for each client: as many as one of two workers may write about it in a
 * second, less those kept for errors.
 */
const talker = `let line = 0;
export default {
  name: 'talker', summary: 'fills the log', options: {},
  create: (options, { log }) => ({
    stream(client) {
      for (let left = 40; left > 0; left -= 1) log.info({ line: (line += 1), padding: '.'.repeat(20_000) }, 'talk');
      client.end(Buffer.from('talked\\n'));
    },
  }),
};\n`;

/** Each is asked once, so that none has too much to say. */
const talkers = Array.from({ length: 40 }, (_, index) => 1300 + index);

it('a full disk under log.file loses log lines but does not affect the services', async () => {
  const network = Network.make();
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'talker.mjs'), talker);
  writeFileSync(
    join(directory, 'smallservd.yaml'),
    `workers: 2
log: { file: disk/log }
services:
  echo: { listen: ["tcp://localhost:1201", "udp://localhost:1201"] }
${talkers.map((port) => `  talker-${port}: { module: ./talker.mjs, listen: ["tcp://localhost:${port}"] }\n`).join('')}`,
  );
  const mount = 'mkdir "$0" && mount -t tmpfs -o size=16m,mode=755 none "$0" && exec "$@"';
  const disk = join(directory, 'disk');
  // The disk is there for the daemon alone, and goes with it.
  const daemon = new DaemonProgram(['--config', join(directory, 'smallservd.yaml')], (argv) =>
    network.inside(['unshare', '--mount', 'sh', '-c', mount, disk, ...argv]),
  );
  const seen = `/proc/${daemon.pid}/root${disk}`;
  // The first part is moved away while the disk is full.
  const log = (): readonly LogLine[] => {
    const parts = ['log.1', 'log'].map((name) => join(seen, name)).filter(existsSync);
    const text = parts.map((part) => readFileSync(part, 'utf8')).join('');
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine);
  };
  const peers = new Peers(network);
  const serves = async (text: string): Promise<void> => {
    expect(await peers.tcp('127.0.0.1', 1201, text)).toBe(text);
    expect(await peers.udp('127.0.0.1', 1201, text)).toBe(text);
  };
  await daemon.until(
    () => daemon.running && existsSync(join(seen, 'log')) && log().some(({ msg }) => msg === 'ready'),
    'ready',
  );
  await serves('before\n');
  await daemon.until(() => log().at(-1)?.['reason'] === 'completed', 'the line of the first client');

  fill(join(seen, 'filler'));
  expect(statfsSync(seen).bavail).toBe(0);
  for (const port of talkers) {
    expect(await peers.tcp('127.0.0.1', port)).toBe('talked\n');
    if (port % 4 === 0) await serves(`while it is full ${port}\n`);
  }
  expect(daemon.running).toBe(true);
  expect(daemon.workers.length).toBeGreaterThan(1);
  expect(statfsSync(seen).bavail).toBe(0);

  // What waits goes into the old file as soon as there is room, the rest into the new one.
  renameSync(join(seen, 'log'), join(seen, 'log.1'));
  daemon.signal('SIGHUP');
  await daemon.until(() => existsSync(join(seen, 'log')), 'the new log file');
  await serves('with a new log file\n');
  expect(statfsSync(seen).bavail).toBe(0);

  rmSync(join(seen, 'filler'));
  await serves('after\n');
  await daemon.until(() => log().some(({ msg }) => msg.includes('lost')), 'the report of the loss');
  await daemon.until(() => log().some(({ msg }) => msg === 'config reloaded'), 'the end of the reload');
  await serves('at last\n');
  await daemon.until(() => log().at(-1)?.['service'] === 'echo', 'the line of the last client');
  // Whole lines, in order; those that are missing are counted.
  const lines = log();
  const talked = lines.filter(({ msg }) => msg === 'talk').length;
  const lost = lines.filter(({ msg }) => msg.includes('lost')).map((line) => Number(line['lines']));
  const all = talkers.length * 40;
  expect(talked).toBeGreaterThan(100);
  expect(talked).toBeLessThan(all);
  expect(lost.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(all - talked);

  daemon.signal('SIGTERM');
  expect(await daemon.end()).toEqual({ code: 0, signal: null });
  expect(daemon.complaints).toBe('');
});

/** Writes until the disk is full, to the last byte. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (const size of [1 << 20, 4096, 1]) {
      const block = Buffer.alloc(size, 'x');
      try {
        for (;;) writeSync(fd, block);
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
      }
    }
  } finally {
    closeSync(fd);
  }
}
