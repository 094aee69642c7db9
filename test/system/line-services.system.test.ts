import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckResult, ConformResult } from '../../src/client/index.ts';
import { clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, Program, run } from './program.ts';

needs('ip', 'finger', 'xinetd', 'in.fingerd', 'oidentd');

/** tcpmux, finger and ident on their own ports; the daemon is root, its workers are nobody. */
async function startSmallservd(network: Network): Promise<void> {
  const directory = temporaryDirectory();
  const plans = join(directory, 'plans');
  mkdirSync(plans);
  writeFileSync(join(plans, 'ada'), 'On holiday.\nUntil May.\n');
  writeFileSync(join(plans, 'bob'), '');
  const config = join(directory, 'config.yaml');
  writeFileSync(
    config,
    `services:
  echo: { listen: ["tcp://*:7"] }
  tcpmux: { listen: ["tcp://*:1"], services: [echo, finger] }
  finger: { listen: ["tcp://*:79"], show: plans, plans: ${plans} }
  ident: { listen: ["tcp://*:113"] }
`,
  );
  await new DaemonProgram(['--config', config], (argv) => network.inside(argv)).ready();
}

async function conform(network: Network, services: string): Promise<readonly CheckResult[]> {
  const smallserv = await run(
    network.inside([...clientProgram, 'conform', '127.0.0.1', '--json', '--services', services]),
  );
  return (JSON.parse(smallserv.output) as ConformResult).checks;
}

describe('finger of Debian', () => {
  it.each(['127.0.0.1', '::1'])('shows a plan, the list and its details at %s, and is not forwarded', async (host) => {
    const network = Network.make();
    await startSmallservd(network);
    const finger = async (...args: readonly string[]): Promise<string> =>
      (await run(network.inside(['finger', ...args]))).output.replaceAll('\r', '');
    const plan = 'Login: ada\nPlan:\nOn holiday.\nUntil May.\n';
    expect(await finger(`ada@${host}`)).toContain(plan);
    expect(await finger('-l', `ada@${host}`)).toContain(plan);
    expect(await finger(`@${host}`)).toContain('ada\nbob\n');
    expect(await finger('-l', `@${host}`)).toContain('ada: On holiday.\nbob: No plan\n');
    expect(await finger(`ada@elsewhere@${host}`)).toContain('Finger forwarding service denied\n');
  });
});

describe('smallserv conform', () => {
  it('passes every check of tcpmux, finger and ident of smallservd', async () => {
    const network = Network.make();
    await startSmallservd(network);
    const checks = await conform(network, 'tcpmux,finger,ident');
    expect(checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(new Set(checks.map(({ service }) => service))).toEqual(new Set(['tcpmux', 'finger', 'ident']));
  });

  it('finds the NUL that tcpmux of xinetd sends, and its refusal of HELP', async () => {
    const network = Network.make();
    await startXinetd(network, tcpmuxOfXinetd);
    const checks = await conform(network, 'tcpmux');
    const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id);
    expect(failed).toEqual(['tcpmux.tcp.help', 'tcpmux.tcp.split', 'tcpmux.tcp.unknown']);
    expect(checks.find(({ id }) => id === 'tcpmux.tcp.unknown')?.detail).toContain('not found\\r\\n\\x00" (26 bytes)');
  });

  it('passes every check of the finger daemon of Debian', async () => {
    const network = Network.make();
    const server = execFileSync('sh', ['-c', 'command -v in.fingerd'], { encoding: 'utf8' });
    await startXinetd(network, `service finger\n{\nserver = ${server}${commonKeys}}\n`);
    const checks = await conform(network, 'finger');
    expect(checks.length).toBeGreaterThan(0);
    expect(checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
  });

  it('passes every check of oidentd, which takes one request for each connection', async () => {
    const network = Network.make();
    await startOidentd(network);
    const checks = await conform(network, 'ident');
    expect(checks.filter(({ outcome }) => outcome === 'passed').length).toBeGreaterThan(0);
    const others = checks.filter(({ outcome }) => outcome !== 'passed');
    expect(others.map(({ id, outcome }) => [id, outcome])).toEqual([['ident.tcp.several', 'skipped']]);
  });
});

async function startOidentd(network: Network): Promise<void> {
  const config = join(temporaryDirectory(), 'oidentd.conf');
  writeFileSync(config, '');
  const args = ['--foreground', '--nosyslog', '--config', config, '--user', 'nobody', '--group', 'nogroup'];
  const oidentd = new Program(network.inside(['oidentd', ...args]));
  const listens = (): boolean => {
    const [command = '', ...rest] = network.inside(['ss', '-Htln', 'sport', '=', '113']);
    return execFileSync(command, rest, { encoding: 'utf8' }).includes(':113');
  };
  await oidentd.until(() => !oidentd.running || listens(), 'the start of oidentd');
  expect(oidentd.running, oidentd.complaints).toBe(true);
}

const commonKeys = 'socket_type = stream\nprotocol = tcp\nuser = root\nwait = no\n';

/** Its built-in tcpmux (xinetd.conf(5)), with one service behind it. */
const tcpmuxOfXinetd = `service tcpmux\n{\ntype = INTERNAL UNLISTED\nid = tcpmux-server\nport = 1\n${commonKeys}}
service hello\n{\ntype = TCPMUXPLUS UNLISTED\nserver = /bin/echo\nserver_args = hello\n${commonKeys}}\n`;

async function startXinetd(network: Network, text: string): Promise<void> {
  const directory = temporaryDirectory();
  const [config, log] = [join(directory, 'xinetd.conf'), join(directory, 'xinetd.log')];
  writeFileSync(config, text);
  const xinetd = new Program(network.inside(['xinetd', '-dontfork', '-f', config, '-filelog', log]));
  const isReady = (): boolean => existsSync(log) && readFileSync(log, 'utf8').includes('Started working');
  await xinetd.until(() => isReady() || !xinetd.running, 'the start of xinetd');
  expect(isReady()).toBe(true);
}
