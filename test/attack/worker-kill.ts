/** Attack 15: kill -9 of workers under load. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import type { LoadResult } from '../../src/client/index.ts';
import { DaemonProcess } from '../support/daemon-process.ts';
import { canListen } from '../support/ports.ts';
import { clientProgram } from '../system/machine.ts';
import { Program } from '../system/program.ts';
import { holds } from './figures.ts';
import { countsThat } from './stream-counts.ts';

const attack = 15;
/** Connections, one for each request, and datagrams. */
const tcp = { perSecond: 1500, atOnce: 50 };
const udp = { perSecond: 200, atOnce: 20 };
/** Of two kills, in milliseconds. */
const apartMs = 1500;

/**
 * Kills one of two workers and then the other, so many times in all, each when the last is back, at the soonest a
 * second later.
 */
export async function killUnderLoad(kills: number): Promise<void> {
  const daemon = await DaemonProcess.serve({
    workers: 2,
    log: { connections: 'off' },
    services: { daytime: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } },
  });
  const streams = load(daemon.target('daytime', 'tcp').port, tcp);
  const datagrams = load(daemon.target('daytime', 'udp').port, udp, '--udp', '--timeout', '1s');
  await countsThat(daemon, ({ daytime }) => (daytime?.accepted ?? 0) > tcp.perSecond);
  let longestAbsenceMs = 0;
  for (let kill = 1; kill <= kills; kill += 1) {
    const workers = await daemon.workers();
    const victim = workers[kill % workers.length];
    if (victim === undefined) throw new Error('no worker is ready');
    const killedMs = performance.now();
    process.kill(victim.pid, 'SIGKILL');
    const isBack = (): boolean => daemon.linesWith('worker ready again').length >= kill;
    await daemon.waitFor(isBack, 'the worker that follows');
    const absenceMs = performance.now() - killedMs;
    longestAbsenceMs = Math.max(longestAbsenceMs, absenceMs);
    await pause(Math.max(0, apartMs - absenceMs));
  }
  const results = await Promise.all([resultOf(streams), resultOf(datagrams)]);
  expect(daemon.linesWith('worker exited, restarting')).toHaveLength(kills);
  const [ofTcp, ofUdp] = results;
  const name = (what: string): string => `${kills} times kill -9: ${what}`;
  const refused = ofTcp.errors['connection refused'] ?? 0;
  holds(attack, name('connections refused'), refused, { atLeast: 0, atMost: 0 });
  const cut = `connections lost, of those that the killed workers had (${tcp.atOnce} at a time)`;
  holds(attack, name(cut), ofTcp.failed - refused, { atMost: kills * tcp.atOnce });
  const lost = `datagrams lost (of ${udp.perSecond} a second)`;
  holds(attack, name(lost), ofUdp.failed, { atMost: kills * udp.perSecond });
  const time = { unit: ' s', digits: 1, isTime: true };
  holds(attack, name('seconds until the worker is back'), longestAbsenceMs / 1000, { atMost: 2, ...time });
  holds(attack, 'kill -9 of the supervisor: seconds until its port is free', await secondsUntilFree(daemon), {
    atMost: 1,
    ...time,
  });
  // It was a load.
  const connections = (ofTcp.answered + ofTcp.failed) / (ofTcp.elapsedMs / 1000);
  holds(attack, name('new connections a second'), connections, { atLeast: 500, isTime: true });
}

/** Kills the supervisor: its workers end, and with them its sockets. */
async function secondsUntilFree(daemon: DaemonProcess): Promise<number> {
  const { port } = daemon.target('daytime', 'tcp');
  const killedMs = performance.now();
  daemon.signal('SIGKILL');
  while (!(await canListen(port))) {
    if (performance.now() - killedMs > 10_000) throw new Error(`port ${port} is still taken`);
  }
  return (performance.now() - killedMs) / 1000;
}

function load(port: number, { perSecond, atOnce }: typeof tcp, ...more: readonly string[]): Program {
  const options = ['--service', 'daytime', '--rate', String(perSecond), '--connections', String(atOnce), '--json'];
  return new Program([...clientProgram, 'load', `127.0.0.1:${port}`, ...options, '--duration', '1m', ...more]);
}

/** Ends it, and tells how it went. */
async function resultOf(program: Program): Promise<LoadResult> {
  program.signal('SIGINT');
  await program.end();
  return JSON.parse(program.output) as LoadResult;
}
