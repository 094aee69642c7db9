import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blocksOf, read } from '../repository/files.ts';
import { DaemonProcess, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { ToolProcess } from '../support/tool-process.ts';
import { compare, parseSession, runSession, withoutVarying } from './console-session.ts';
import type { Lab } from './lab.ts';
import { needs } from './machine.ts';
import { startSessionShell } from './session-shell.ts';

needs('ip', 'mount', 'unshare', 'nsenter', 'curl');

interface RoundTrips {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicates: number;
  readonly times: { readonly minMs: number; readonly meanMs: number; readonly deviationMs: number };
}

const count = 10_000;
const listen = ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'];

/** Sends datagrams with `smallserv echo`, one each millisecond, and gives what it measured. */
async function measure(daemon: DaemonProcess): Promise<RoundTrips> {
  const { host, port } = daemon.target('echo', 'udp');
  const tool = new ToolProcess([
    'echo',
    '-u',
    '-c',
    String(count),
    '-i',
    '1ms',
    '-s',
    '64',
    '--json',
    '-q',
    `${host}:${port}`,
  ]);
  const { stdout, stderr } = await tool.ended(60_000);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as RoundTrips;
}

async function readMetrics(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get(`http://127.0.0.1:${port}/metrics`, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

/** The metric of a fault of echo over UDP. */
function metricOf(fault: string, value: number): string {
  return `smallservd_faults_total{service="echo",transport="datagram",fault="${fault}"} ${value}\n`;
}

/** Five standard deviations of how often something of this probability happens. */
function spreadOf(probability: number): number {
  return 5 * Math.sqrt(count * probability * (1 - probability));
}

/** Lost, and delayed. */
async function losing(): Promise<void> {
  const admin = await freePort();
  const faults = { seed: 8, loss: 0.2, delay: { time: '50ms', jitter: '10ms' } };
  const config = {
    workers: 1,
    admin: { listen: `tcp://127.0.0.1:${admin}` },
    services: { echo: { listen, faults } },
  };
  const daemon = DaemonProcess.spawn(['--config', writeConfig(config)]);
  await daemon.line('ready');
  expect(daemon.linesWith('faults enabled, service misbehaves on purpose')).toMatchObject([
    { level: 'warn', service: 'echo', seed: 8, faults: { loss: 0.2, delay: { timeMs: 50, jitterMs: 10 } } },
  ]);
  const { sent, received, lost, times, duplicates } = await measure(daemon);
  expect([sent, received + lost, duplicates]).toEqual([count, count, 0]);
  expect(Math.abs(lost - count * 0.2)).toBeLessThan(spreadOf(0.2));
  // Nothing makes it faster; a loaded machine makes it slower, and varies more.
  expect(times.meanMs).toBeGreaterThan(50 - (5 * 10) / Math.sqrt(received));
  expect(times.deviationMs).toBeGreaterThan(9.5);
  expect(times.minMs).toBeLessThan(50);
  // The worker reports once a second.
  let metrics = '';
  while (!metrics.includes(metricOf('loss', lost))) metrics = await readMetrics(admin);
  expect(metrics).toContain(metricOf('delay', received));
}

async function reordering(): Promise<void> {
  const faults = { seed: 9, duplicate: 0.1, reorder: { probability: 0.05, time: '50ms' } };
  const daemon = DaemonProcess.spawn(['--config', writeConfig({ workers: 1, services: { echo: { listen, faults } } })]);
  await daemon.line('ready');
  const { lost, duplicates, reordered, times } = await measure(daemon);
  expect(lost).toBe(0);
  expect(Math.abs(duplicates - count * 0.1)).toBeLessThan(spreadOf(0.1));
  // Of a duplicate, both copies must be late for its first answer to be. The last ones have nothing to overtake them.
  const late = 0.9 * 0.05 + 0.1 * 0.05 ** 2;
  expect(Math.abs(reordered - count * late)).toBeLessThan(spreadOf(late) + 50 * late * 2);
  expect(times.meanMs).toBeGreaterThan(late * 50 * 0.8);
}

it('10,000 datagrams of smallserv echo fare as configured, and are counted', { timeout: 90_000 }, async () => {
  await Promise.all([losing(), reordering()]);
});

describe('docs/FAULTS.md', () => {
  const page = read('docs/FAULTS.md');
  const [first = '', running = ''] = page.split(/^## On a running daemon$/m);

  it('has no other console blocks', () => {
    const consoles = [first, running].map((each) => blocksOf(each).filter(({ language }) => language === 'console'));
    expect(consoles.map(({ length }) => length)).toEqual([2, 1]);
  });

  it('shows what the daemon, smallserv echo and the metrics say of seed 7', { timeout: 90_000 }, async () => {
    const [config, , warning, echo, metrics] = blocksOf(first).map(({ text }) => text);
    const lab = await startSessionShell();
    await start(lab, config ?? '');
    const [logged = ''] = await outputsOf(`$ grep 'faults enabled' log\n`, lab);
    expect(withoutVarying(logged)).toBe(withoutVarying(warning ?? ''));
    await shows(echo ?? '', lab, withoutOrder);
    // The worker reports once a second.
    const sum = `awk '/^smallservd_faults_total.*"(loss|delay)"/ { sum += $2 } END { print sum }'`;
    const url = 'http://127.0.0.1:9013/metrics';
    await outputsOf(`$ until [ "$(curl -s ${url} | grep datagram | ${sum})" = ${count} ]; do sleep 0.2; done\n`, lab);
    await shows(metrics ?? '', lab);
  });

  it('shows what smallservd faults prints', async () => {
    const [config, session] = blocksOf(running).map(({ text }) => text);
    const lab = await startSessionShell();
    await start(lab, config ?? '');
    await shows(session ?? '', lab);
  });
});

/** Starts the daemon with this config, and resolves when it is ready. Its log is in the file `log`. */
async function start(lab: Lab, config: string): Promise<void> {
  writeFileSync(join(lab.directory, 'smallservd.yaml'), config);
  const command = `ip link set lo up && mount -t tmpfs tmpfs /run && mkdir /run/smallservd
smallservd --config smallservd.yaml > log 2>&1 &
until smallservd status --config smallservd.yaml > status 2>&1; do sleep 0.2; done`;
  expect(await runSession([{ command, output: [''] }], lab)).toMatchObject([{ output: [''] }]);
}

async function outputsOf(session: string, lab: Lab): Promise<readonly string[]> {
  return (await runSession(parseSession(session), lab)).map(({ output }) => output.join(''));
}

/** Runs a console block, and compares what it shows, but for what varies. */
async function shows(session: string, lab: Lab, without = (output: string): string => output): Promise<void> {
  const shown = parseSession(session);
  const seen = await runSession(shown, lab);
  for (const [index, each] of seen.entries()) {
    const pair = compare(shown[index] ?? each, each);
    expect(pair.seen.output.map(without)).toEqual(pair.shown.output.map(without));
  }
}

/** How many overtake others depends on when they were sent. */
function withoutOrder(output: string): string {
  return output.replace(/\d+ out of order/, 'some out of order');
}
