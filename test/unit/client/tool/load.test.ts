import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LoadProgress, LoadResult } from '../../../../src/client/load.ts';
import { formatProgress, formatResult } from '../../../../src/client/tool/load.ts';
import { serve } from '../../../support/daemon.ts';
import { root } from '../../../support/daemon-process.ts';
import { fakeTcpServer } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

async function echoHost(protocol: 'tcp' | 'udp' = 'tcp'): Promise<string> {
  const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
  const { host, port } = daemon.target('echo', protocol);
  return `${host}:${port}`;
}

describe('smallserv load', () => {
  it('prints its measurements and a histogram', async () => {
    const host = await echoHost();
    const { code, stdout, stderr } = await runTool(['load', host, '--connections', '3', '-c', '1000']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const text = Buffer.from(stdout, 'latin1').toString('utf8');
    expect(text).toMatch(new RegExp(`^echo at ${host} over TCP, 3 connections, \\d+\\.\\d s\\n\\nanswered   1,000, `));
    expect(text).toContain('\nsent       62.5 KiB, ');
    expect(text).toContain('\nerrors     none\n');
    expect(text).toMatch(/\nlatency +p50 +p90 +p99 +p99\.9 +max\n( +[\d.]+ (µs|ms|s)){5}\n/);
    expect(text).toMatch(/\n(≤ +[\d.]+ (µs|ms|s) +[█▏▎▍▌▋▊▉]* +[\d.]+% +[\d,]+\n)+$/);
    expect(text).not.toContain('\u001b');
  });

  it('prints the whole result as JSON', async () => {
    const host = await echoHost('udp');
    const args = ['load', host, '-u', '--rate', '500', '--requests', '50', '--size', '100', '--json'];
    const { code, stdout, stderr } = await runTool(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = JSON.parse(stdout) as LoadResult;
    expect(result).toMatchObject({
      service: 'echo',
      protocol: 'udp',
      connections: 10,
      answered: 50,
      failed: 0,
      errors: {},
      isInterrupted: false,
      bytesSent: 5000,
      bytesReceived: 5000,
      openLoop: { wantedPerSecond: 500, waiting: 0, behindMs: 0 },
    });
    for (const key of ['p50Ms', 'p90Ms', 'p99Ms', 'p999Ms', 'maxMs'] as const) {
      expect(result.response?.[key]).toBeGreaterThan(0);
      expect(result.serviceTime?.[key]).toBeGreaterThan(0);
    }
    expect(result.distribution.reduce((sum, { count }) => sum + count, 0)).toBe(50);
  });

  it('stops after --duration', async () => {
    const { code, stdout } = await runTool(['load', await echoHost(), '--duration', '300ms', '--json']);
    const result = JSON.parse(stdout) as LoadResult;
    expect(code).toBe(0);
    expect(result.elapsedMs).toBeGreaterThanOrEqual(300);
    expect(result.answered).toBeGreaterThan(0);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('prints partial results on %s', async (signal) => {
    let requests = 0;
    const { name } = await fakeTcpServer((socket) => {
      socket.on('data', (bytes) => {
        requests += 1;
        socket.write(bytes);
      });
    });
    const tool = new ToolProcess(['load', name, '--duration', '1h']);
    // Of ten connections, one has its second request: the first was answered.
    await until(() => requests > 10, 'the load');
    tool.signal(signal);
    const { code, stdout, stderr } = await tool.ended();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/, 10 connections, [\d.]+ s, interrupted\n/);
  });

  it('exits 1 on wrong answers and reports their kind', async () => {
    const { name } = await fakeTcpServer((socket) => {
      socket.on('data', (bytes) => socket.write(Buffer.alloc(bytes.length)));
    });
    const { code, stdout, stderr } = await runTool(['load', name, '--connections', '1', '-c', '2']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(Buffer.from(stdout, 'latin1').toString()).toContain('\nerrors     2 × wrong content\n');
  });

  it('exits 1 if a server never answers', async () => {
    const { name } = await fakeTcpServer((socket) => void socket.resume());
    const { code, stdout } = await runTool(['load', name, '--connections', '1', '-d', '50ms', '--json']);
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { outcome: 'timeout', answered: 0, unfinished: 1 }]);
    const { perSecond } = JSON.parse(stdout) as { readonly perSecond: unknown };
    expect(perSecond).toMatchObject([{ second: 0, answered: 0, failed: 0, bytesSent: 64, bytesReceived: 0 }]);
  });

  it('exits 2 if the port is closed', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    expect(await runTool(['load', host])).toEqual({
      code: 2,
      stdout: '',
      stderr: `smallserv: cannot connect to ${host}: connection refused\n`,
    });
  });

  it.each([
    [['--service', 'discard', '--rate', '5'], /discard over TCP is a byte stream/],
    [['--service', 'finger'], /"finger" is not valid for --service: expected one of echo, /],
    [['--connections', '10001'], /from 1 to 10000/],
    [['--duration', '2h'], /the duration is 2h: expected 1ms to 1h/],
    [['--rate', 'fast'], /"fast" is not valid for --rate: expected requests per second, above 0 and up to 1000000, /],
    [['--rate', '0'], /"0" is not valid for --rate: expected requests per second, above 0 and up to 1000000, /],
    [
      ['--rate', '1000001'],
      /"1000001" is not valid for --rate: expected requests per second, above 0 and up to 1000000, /,
    ],
    [['--size', '2MiB'], /the size of a request is 2097152: expected 1 to 1048576/],
    [['--udp', '--size', '65508'], /the size is 65508 bytes: 127.0.0.1 takes at most 65507 bytes over IPv4/],
  ] as const)('exits 64 for %j', async (args, message) => {
    const { code, stdout, stderr } = await runTool(['load', '127.0.0.1:9', ...args]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^smallserv: [^\n]+\n$/);
    expect(stderr).toMatch(message);
  });

  it('exits 64 if the open file limit is too low for the connections', () => {
    const script = 'ulimit -n 256 && exec "$0" "$@"';
    const args = [process.execPath, join(root, 'dist/smallserv.js'), 'load', '127.0.0.1:9', '--connections', '1000'];
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script, ...args], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
    expect(stderr).toMatch(
      /^smallserv: 1000 connections need \d+ open files, and only 256 are allowed: ulimit -n \d+\n$/,
    );
  });
});

describe('the progress line', () => {
  const progress: LoadProgress = {
    elapsedMs: 2500,
    durationMs: 10_000,
    answered: 100_000,
    failed: 0,
    bytesSent: 6_400_000,
    bytesReceived: 6_400_000,
    requests: undefined,
    p99Ms: 1.25,
    lastSecond: undefined,
  };

  it('shows the throughput and latency of the last second once there is one', () => {
    const lastSecond = { second: 1, answered: 20_000, failed: 0, bytesSent: 1, bytesReceived: 1, p50Ms: 1, p99Ms: 3 };
    expect(formatProgress({ ...progress, lastSecond }, 80)).toMatch(/ 3s of 10s {2}20,000\/s {2}p99 3 ms$/);
    expect(formatProgress({ ...progress, lastSecond: { ...lastSecond, answered: 0, p99Ms: undefined } }, 80)).toMatch(
      / 3s of 10s {2}0\/s$/,
    );
  });

  it('shows progress, rate and errors', () => {
    expect(formatProgress(progress, 80)).toBe(`[${'█'.repeat(7)}▌${' '.repeat(22)}] 3s of 10s  40,000/s  p99 1.25 ms`);
    expect(formatProgress({ ...progress, failed: 2 }, 80)).toMatch(/ {2}2 errors$/);
    expect(formatProgress({ ...progress, answered: 0, p99Ms: undefined }, 80)).toMatch(/ {2}4\.88 MiB\/s$/);
    expect(formatProgress({ ...progress, requests: 100_000 }, 80)).toContain(`[${'█'.repeat(30)}]`);
  });

  it('leaves the last column free at any terminal width', () => {
    const count = integer({ min: 0, max: 1_000_000_000 });
    assert(
      property(integer({ min: 40, max: 200 }), count, count, (columns, answered, failed) => {
        const line = formatProgress({ ...progress, answered, failed }, columns);
        expect(line.length).toBeLessThan(columns);
      }),
    );
  });
});

describe('the result', () => {
  const plain = { paint: (_color: string, text: string): string => text };
  const latency = {
    count: 2,
    minMs: 1,
    meanMs: 1,
    deviationMs: 0.1,
    p50Ms: 1,
    p90Ms: 1.5,
    p99Ms: 2,
    p999Ms: 2,
    maxMs: 2,
  };
  const result: LoadResult = {
    service: 'echo',
    protocol: 'tcp',
    peer: { address: '::1', port: 7 },
    connections: 1,
    elapsedMs: 2000,
    isInterrupted: false,
    answered: 2,
    answeredPerSecond: 1,
    failed: 3,
    errors: { timeout: 1, lost: 2 },
    outcome: 'timeout',
    unfinished: 1,
    bytesSent: 3,
    bytesReceived: 2,
    bytesSentPerSecond: 1.5,
    bytesReceivedPerSecond: 1,
    openLoop: { wantedPerSecond: 4, waiting: 5, behindMs: 1250 },
    response: latency,
    serviceTime: { ...latency, p50Ms: 0.5 },
    flows: undefined,
    perSecond: [],
    distribution: [{ aboveMs: 0.8, toMs: 1, count: 2 }],
  };

  it('of an open loop shows the backlog and both latencies', () => {
    expect(formatResult(result, { ...plain, columns: 40 })).toBe(
      [
        'echo at [::1]:7 over TCP, 1 connection, 2.0 s',
        '',
        'answered   2, 1/s',
        'target     4/s; 5 due but unsent, 1.250',
        '           s behind at the end',
        'sent       3 bytes, 1.5 bytes/s',
        'received   2 bytes, 1 bytes/s',
        'in flight  1 at the end',
        'errors     2 × lost',
        'errors     1 × timeout',
        '',
        'latency         p50      p90      p99    p99.9      max',
        'since due      1 ms   1.5 ms     2 ms     2 ms     2 ms',
        'since sent   500 µs   1.5 ms     2 ms     2 ms     2 ms',
        '',
        `≤ 1 ms  ${'█'.repeat(20)}  100.0%  2`,
        '',
      ].join('\n'),
    );
  });

  it('without answers has no latencies or histogram', () => {
    const nothing = { ...result, response: undefined, serviceTime: undefined, openLoop: undefined, distribution: [] };
    expect(formatResult({ ...nothing, answered: 0, isInterrupted: true }, { ...plain, columns: 80 })).toBe(
      [
        'echo at [::1]:7 over TCP, 1 connection, 2.0 s, interrupted',
        '',
        'answered   0, 0/s',
        'sent       3 bytes, 1.5 bytes/s',
        'received   2 bytes, 1 bytes/s',
        'in flight  1 at the end',
        'errors     2 × lost',
        'errors     1 × timeout',
        '',
      ].join('\n'),
    );
  });
});
