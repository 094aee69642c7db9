import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blocksOf, read } from '../repository/files.ts';
import { DaemonProcess, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { ToolProcess } from '../support/tool-process.ts';
import { compare, parseSession, runSession } from './console-session.ts';
import { needs } from './machine.ts';
import { startSessionShell } from './session-shell.ts';

needs('ip', 'mount', 'unshare', 'nsenter');

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

describe('10,000 datagrams of smallserv echo', () => {
  it('are lost, and delayed, as configured, and counted', { timeout: 90_000 }, async () => {
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
  });

  it('are reordered and duplicated as configured', { timeout: 90_000 }, async () => {
    const faults = { seed: 9, duplicate: 0.1, reorder: { probability: 0.05, time: '50ms' } };
    const daemon = DaemonProcess.spawn([
      '--config',
      writeConfig({ workers: 1, services: { echo: { listen, faults } } }),
    ]);
    await daemon.line('ready');
    const { lost, duplicates, reordered, times } = await measure(daemon);
    expect(lost).toBe(0);
    expect(Math.abs(duplicates - count * 0.1)).toBeLessThan(spreadOf(0.1));
    // Of a duplicate, both copies must be late for its first answer to be. The last ones have nothing to overtake them.
    const late = 0.9 * 0.05 + 0.1 * 0.05 ** 2;
    expect(Math.abs(reordered - count * late)).toBeLessThan(spreadOf(late) + 50 * late * 2);
    expect(times.meanMs).toBeGreaterThan(late * 50 * 0.8);
  });
});

describe('docs/FAULTS.md', () => {
  it('shows what smallservd faults prints', async () => {
    const [, section = ''] = read('docs/FAULTS.md').split(/^## On a running daemon$/m);
    const [config, session] = blocksOf(section);
    const lab = await startSessionShell();
    writeFileSync(join(lab.directory, 'smallservd.yaml'), config?.text ?? '');
    const begin = `ip link set lo up && mount -t tmpfs tmpfs /run && mkdir /run/smallservd
smallservd --config smallservd.yaml > log 2>&1 &
until smallservd status --config smallservd.yaml > status 2>&1; do sleep 0.2; done`;
    await runSession([{ command: begin, output: [''] }], lab);
    const shown = parseSession(session?.text ?? '');
    const seen = await runSession(shown, lab);
    expect(seen.map((each, index) => compare(shown[index] ?? each, each).seen)).toEqual(shown);
  });
});
