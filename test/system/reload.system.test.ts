import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { LoadResult } from '../../src/client/index.ts';
import { clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, Program } from './program.ts';

needs('ip');

const reloads = 10;
const connectionsPerSecond = 2000;

// RFC 867 over UDP is asked, too, at a rate that leaves the machine room for the rest.
it.each([
  ['TCP', ['--rate', String(connectionsPerSecond), '--connections', '100']],
  ['UDP', ['--udp', '--rate', '500', '--connections', '20']],
])('ten reloads in a row under load refuse and lose no requests over %s', async (_, options) => {
  const network = Network.make();
  const file = join(temporaryDirectory(), 'smallservd.yaml');
  // Limits are out of reach, and apply to loopback: what is tried is the reload.
  const write = (idleSeconds: number): void =>
    writeFileSync(
      file,
      `workers: 2
log: { connections: off }
defaults:
  exempt: []
  idleTimeout: ${idleSeconds}s
  connectionRate: { perSecond: 100000, burst: 100000 }
  datagramRate: { perSecond: 100000, burst: 100000 }
  maxConnections: 10000
  maxConnectionsPerSource: 10000
services:
  daytime: { listen: ["tcp://127.0.0.1:13", "udp://127.0.0.1:13"] }
`,
    );
  write(60);
  const daemon = new DaemonProgram(['--config', file], (argv) => network.inside(argv));
  await daemon.ready();
  const load = new Program(
    network.inside([
      ...clientProgram,
      'load',
      '127.0.0.1',
      '--service',
      'daytime',
      '--duration',
      '1m',
      '--json',
      ...options,
    ]),
    { directory: temporaryDirectory() },
  );
  for (let turn = 1; turn <= reloads; turn += 1) {
    write(60 + turn);
    daemon.signal('SIGHUP');
    await daemon.until(() => count(daemon, 'config reloaded') >= turn || !daemon.running, `reload ${turn}`);
  }
  // Ctrl-C: the results so far.
  load.signal('SIGINT');
  const { code } = await load.end();
  const result = JSON.parse(load.output) as LoadResult;
  console.info(
    `${reloads} reloads in ${Math.round(result.elapsedMs)} ms, ${Math.round(result.answeredPerSecond)} requests/s, ` +
      `${result.answered} answered, ${result.failed} failed`,
  );
  expect(result.errors).toEqual({});
  expect(code).toBe(0);
  // Were the load far below its rate, it would prove little.
  expect(result.answered).toBeGreaterThan(reloads * 10);
  expect(count(daemon, 'reload failed, keeping the running config')).toBe(0);
  expect(count(daemon, 'worker exited, restarting')).toBe(0);
});

function count(daemon: DaemonProgram, message: string): number {
  return daemon.lines.filter(({ msg }) => msg === message).length;
}
