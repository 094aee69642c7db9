import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckResult, ConformResult, CheckOutcome } from '../../src/client/index.ts';
import { type InetdName, startInetd } from './inetds.ts';
import { checkout, clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, run } from './program.ts';

needs('ip', 'xinetd', 'inetutils-inetd');

/** A check that a peer is known to fail. */
interface Finding {
  readonly id: string;
  readonly why: string;
}

function readFindings(name: InetdName): readonly Finding[] {
  return JSON.parse(readFileSync(join(checkout, 'test/system/findings', `${name}.json`), 'utf8')) as Finding[];
}

/** `smallserv conform HOST --json` in the network, and its exit code. */
async function conform(network: Network, host: string): Promise<ConformResult & { readonly exitCode: number | null }> {
  const smallserv = await run(network.inside([...clientProgram, 'conform', host, '--json']));
  expect(smallserv.complaints).toBe('');
  return { ...(JSON.parse(smallserv.output) as ConformResult), exitCode: (await smallserv.end()).code };
}

function having(outcome: CheckOutcome, { checks }: ConformResult): readonly CheckResult[] {
  return checks.filter((check) => check.outcome === outcome);
}

/** `echo/tcp` and so on, each once. */
function servicesOf(checks: readonly CheckResult[]): readonly string[] {
  return [...new Set(checks.map(({ service, transport }) => `${service}/${transport}`))];
}

describe.each(['xinetd', 'inetutils-inetd'] as const)('smallserv conform against %s', (name) => {
  it('reports exactly the known failures', async () => {
    const network = Network.make();
    await startInetd(name, network);
    const result = await conform(network, '127.0.0.1');
    const fails = having('failed', result);
    const known = readFindings(name).map(({ id }) => id);
    const details = fails.map(({ id, detail }) => `${id}: ${detail}`).join('\n');
    expect(fails.map(({ id }) => id).toSorted(), details).toEqual(known.toSorted());
    expect(having('skipped', result)).toEqual([]);
    expect(servicesOf(having('unreachable', result))).toEqual(['systat/tcp', 'systat/udp', 'qotd/tcp', 'qotd/udp']);
    expect(servicesOf(having('passed', result))).toContain('discard/udp');
    expect(result.exitCode).toBe(1);
  });
});

/** The daemon as root, whose workers are nobody. */
async function startSmallservd(network: Network, config: string): Promise<void> {
  const daemon = new DaemonProgram(['--config', config], (argv) => network.inside(argv));
  await daemon.ready();
}

const everywhere = `services:
  echo: { listen: ["tcp://*:7", "udp://*:7"] }
  discard: { listen: ["tcp://*:9", "udp://*:9"] }
  systat: { listen: ["tcp://*:11", "udp://*:11"], exposeUdp: true }
  daytime: { listen: ["tcp://*:13", "udp://*:13"] }
  qotd: { listen: ["tcp://*:17", "udp://*:17"], exposeUdp: true }
  chargen: { listen: ["tcp://*:19", "udp://*:19"], exposeUdp: true }
  time: { listen: ["tcp://*:37", "udp://*:37"] }
`;

describe('smallserv conform against smallservd', () => {
  it('reports no failures with the well-known ports config', async () => {
    const network = Network.make();
    await startSmallservd(network, join(checkout, 'config/well-known.yaml'));
    const result = await conform(network, '127.0.0.1');
    expect([...having('failed', result), ...having('skipped', result)]).toEqual([]);
    expect(servicesOf(having('unreachable', result))).toEqual(['systat/udp', 'qotd/udp', 'chargen/udp']);
    expect(result.exitCode).toBe(0);
  });

  it.each(['127.0.0.1', '::1'])('passes every check if all services also listen on UDP, at %s', async (host) => {
    const network = Network.make();
    const config = join(temporaryDirectory(), 'everywhere.yaml');
    writeFileSync(config, everywhere);
    await startSmallservd(network, config);
    const result = await conform(network, host);
    expect(result.checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(servicesOf(result.checks)).toHaveLength(14);
    expect(result.exitCode).toBe(0);
  });
});
