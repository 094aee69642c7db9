import { describe, expect, it } from 'vitest';
import type { StampResult } from '../../../../src/client/stamp/measurement.ts';
import { formatStampSummary } from '../../../../src/client/tool/stamp-summary.ts';
import { serve } from '../../../support/daemon.ts';
import { fakeUdpServer } from '../../../support/fake-servers.ts';
import { runTool } from '../../../support/tool-process.ts';

const times = { minMs: 1, meanMs: 2, maxMs: 3, deviationMs: 0.5, p50Ms: 2, p90Ms: 3, p99Ms: 3, p999Ms: 3, count: 4 };

const result: StampResult = {
  peer: { address: '192.0.2.1', port: 862 },
  sizeBytes: 52,
  elapsedMs: 4000,
  sent: 5,
  received: 4,
  lost: 1,
  lossRatio: 0.2,
  duplicates: 0,
  reordered: 0,
  corrupted: 0,
  times,
  reflectorTimes: times,
  forward: { count: 4, minMs: -0.1, meanMs: 0.5, maxMs: 1 },
  backward: { count: 4, minMs: 1, meanMs: 1.5, maxMs: 2 },
  oneWayErrorMs: 1.25,
  jitter: { roundTripMs: 0.3, forwardMs: 0.1, backwardMs: 0.2 },
  reflectorMode: 'stateful',
  oneWayLoss: { forward: 0, backward: 1, unknown: 0 },
  flows: undefined,
  clocks: { local: { isSynchronized: true, errorMs: 0.25 }, reflector: { isSynchronized: true, errorMs: 1 } },
  problem: undefined,
  outcome: 'ok',
};

describe('the summary of smallserv stamp', () => {
  it('has delays in each direction, and how wrong they may be', () => {
    expect(formatStampSummary('192.0.2.1:862', result)).toBe(
      `--- 192.0.2.1:862: 5 sent, 4 received, 20% lost, 4000 ms
rtt min/avg/max/mdev = 1.000/2.000/3.000/0.500 ms
rtt p50/p90/p99 = 2.000/3.000/3.000 ms
reflector min/avg/max = 1.000/2.000/3.000 ms
there min/avg/max = -0.100/0.500/1.000 ms
back min/avg/max = 1.000/1.500/2.000 ms
clocks: both synchronized, each delay there and back is exact to ±1.250 ms
jitter there/back/rtt = 0.100/0.200/0.300 ms
lost 0 on the way there, 1 on the way back
`,
    );
  });

  const unknown = { ...result, forward: undefined, backward: undefined, oneWayErrorMs: undefined };
  it.each([
    [true, false, 'that of the reflector is not synchronized: no'],
    [false, true, 'that of this machine is not synchronized: no'],
    [false, false, 'neither is synchronized: no'],
    [true, true, 'both synchronized, but the reflector counts in the time scale of PTP: no'],
  ])('says why it has none: %s, %s', (local, reflector, reason) => {
    const [one, other] = [local, reflector].map((isSynchronized) => ({ isSynchronized, errorMs: 1 }));
    const clocks = { local: one, reflector: other } as StampResult['clocks'];
    const text = formatStampSummary('192.0.2.1:862', { ...unknown, clocks });
    expect(text).toContain(`\nclocks: ${reason} delays there and back\n`);
    expect(text).not.toMatch(/^(?:there|back) /m);
  });

  it.each([
    ['stateful', { forward: 2, backward: 1, unknown: 3 }, 'lost 2 on the way there, 1 on the way back, 3 at the end'],
    ['stateful', undefined, 'lost 1, there or back: the reflector began to count again'],
    ['stateless', undefined, 'lost 1, there or back: the reflector does not count'],
    [undefined, undefined, 'lost 1, there or back: whether the reflector counts is not known'],
  ] as const)('says where packets were lost: %s, %j', (reflectorMode, oneWayLoss, text) => {
    expect(formatStampSummary('192.0.2.1:862', { ...result, reflectorMode, oneWayLoss })).toContain(`\n${text}`);
  });

  it('is short if nothing came back', () => {
    const none = { received: 0, times: undefined, reflectorTimes: undefined, jitter: undefined, oneWayLoss: undefined };
    const text = formatStampSummary('192.0.2.1:862', { ...unknown, ...none, lost: 5, lossRatio: 1 });
    expect(text).toMatch(/^--- .*100% lost.*\nlost 5, there or back: .*\n$/);
  });
});

describe('smallserv stamp', () => {
  it('prints lines like those of echo and ping, and a row for each flow', async () => {
    const daemon = await serve({ stamp: { listen: ['udp://127.0.0.1:0'] } });
    const { port } = daemon.target('stamp', 'udp');
    const { name: silent } = await fakeUdpServer(() => {});
    const options = ['-c', '4', '-i', '10ms', '-W', '1s', '--flows', '2'];
    const targets = [`127.0.0.1:${port}`, silent];
    const [json, text] = await Promise.all([
      runTool(['stamp', '--json', ...options, ...targets]),
      runTool(['stamp', '-D', ...options, ...targets]),
    ]);
    expect([json.code, text.code]).toEqual([1, 1]);
    const lines = json.stdout.trimEnd().split('\n');
    const objects = lines.map((line) => JSON.parse(line) as { type: string; target: string; sequence?: number });
    const of = (host: string | undefined): unknown =>
      objects
        .filter(({ target }) => target === host)
        // Several may arrive at the same time, over different sockets.
        .toSorted((one, other) => (one.sequence ?? Infinity) - (other.sequence ?? Infinity))
        .map(({ type, sequence }) => [type, sequence]);
    expect(targets.map(of)).toEqual([
      [
        ['reply', 1],
        ['reply', 2],
        ['reply', 3],
        ['reply', 4],
        ['summary', undefined],
      ],
      [
        ['lost', 1],
        ['lost', 2],
        ['lost', 3],
        ['lost', 4],
        ['summary', undefined],
      ],
    ]);
    expect(objects.at(-1)).toMatchObject({ target: silent, outcome: 'timeout', flows: [{ lost: 2 }, { lost: 2 }] });
    expect(
      text.stdout.match(/^\[\d+\.\d{6}\] 52 bytes from 127\.0\.0\.1:\d+: seq=\d time=[\d.]+ ms reflector=/gm),
    ).toHaveLength(4);
    expect(text.stdout.match(/^\[\d+\.\d{6}\] 127\.0\.0\.1:\d+: seq=\d no answer within 1s$/gm)).toHaveLength(4);
    expect(text.stdout.match(/^ *\d+ +2 +2 +0 {2}[\d.]+\/[\d.]+\/[\d.]+ ms$/gm)).toHaveLength(2);
    expect(text.stdout.match(/^ *\d+ +2 +0 +2$/gm)).toHaveLength(2);
  });

  it('ends at the deadline', async () => {
    const { name } = await fakeUdpServer(() => {});
    const { code, stdout } = await runTool(['stamp', '-w', '150ms', '-i', '100ms', name]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/seq=2 no answer within \d+m?s\n\n--- .*: 2 sent, 0 received, 100% lost/);
  });

  it('prints a failure as one line of JSON', async () => {
    const { code, stdout } = await runTool(['stamp', '--json', '-c', '1', '127.0.0.1:1']);
    expect(code).toBe(2);
    expect(stdout).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'refused', target: '127.0.0.1:1' });
  });

  it.each([
    [['--size', '43'], 'from 44 to 65527'],
    [['--count', '0'], 'from 1 to'],
    [['--dscp', '64'], 'from 0 to 63'],
  ])('rejects %j', async (options, reason) => {
    const { code, stderr } = await runTool(['stamp', ...options, '127.0.0.1']);
    expect(code).toBe(64);
    expect(stderr).toContain(reason);
  });
});
