import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConformResult } from '../../src/client/index.ts';
import { startXinetdWith } from './inetds.ts';
import { clientProgram, daemonProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { type PackagedInetd, packagedInetds } from './packaged-inetds.ts';
import { DaemonProgram, run } from './program.ts';

needs('ip', 'nc', 'bash', 'unshare', 'mount', 'xinetd', 'inetutils-inetd', 'inetd');

/** Runs a program to its end, and gives its output. */
async function outputOf(argv: readonly string[]): Promise<string> {
  const program = await run(argv);
  expect(program.complaints).toBe('');
  return program.output;
}

/** Imports a config, and starts the daemon with the result. Returns that. */
async function serveImported(config: string, options: readonly string[], network: Network): Promise<string> {
  const text = await outputOf([...daemonProgram, 'import', ...options, config]);
  const file = join(temporaryDirectory(), 'smallservd.yaml');
  writeFileSync(file, text);
  await new DaemonProgram(['--config', file], (argv) => network.inside(argv)).ready();
  return text;
}

/** The sockets in a network, as `tcp ipv4 7`, without those of other programs than an inetd. */
async function socketsIn(network: Network): Promise<readonly string[]> {
  const lines = (await outputOf(network.inside(['ss', '-Hlntu']))).split('\n').filter((line) => line !== '');
  const sockets = lines.flatMap((line) => {
    const [protocol, , , , local = ''] = line.split(/\s+/);
    const [, address = '', port] = /^(.*):(\d+)$/.exec(local) ?? [];
    // A socket for both families is shown as one.
    const families = address === '*' ? ['ipv4', 'ipv6'] : [address.includes(':') ? 'ipv6' : 'ipv4'];
    return families.map((family) => `${protocol} ${family} ${port}`);
  });
  return [...new Set(sockets)].toSorted();
}

/** The checks of `smallserv conform` that fail at an address of this network. */
async function failuresAt(host: string, network: Network): Promise<readonly string[]> {
  const { output } = await run(network.inside([...clientProgram, 'conform', host, '--json']));
  const { checks } = JSON.parse(output) as ConformResult;
  expect(checks.filter(({ outcome }) => outcome === 'passed')).not.toEqual([]);
  return checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id);
}

/** The line of daytime, with its words and numbers of digits alone. */
async function daytimeIn(network: Network): Promise<string> {
  const line = await outputOf(network.inside([...clientProgram, 'daytime', '127.0.0.1']));
  return line.replaceAll(/\d/g, '0').replaceAll(/[A-Z][a-z]{2}/g, 'Aaa');
}

async function startPackage(name: keyof typeof packagedInetds): Promise<{ inetd: PackagedInetd; network: Network }> {
  const inetd = packagedInetds[name]();
  const network = Network.make();
  await inetd.start(network);
  return { inetd, network };
}

describe.each(['xinetd', 'inetutils-inetd', 'openbsd-inetd'] as const)('the config of the package %s', (name) => {
  /** chargen over UDP, which anyone could abuse. */
  const left = ['udp ipv4 19', 'udp ipv6 19'];

  it('is served as before, but for what the comments name', { timeout: 120_000 }, async () => {
    const { inetd, network } = await startPackage(name);
    const before = await socketsIn(network);
    const ours = Network.make();
    const text = await serveImported(inetd.config, inetd.options, ours);
    const after = await socketsIn(ours);

    expect(after).toEqual(before.filter((each) => !left.includes(each)));
    expect(before.filter((each) => left.includes(each))).toEqual(name === 'xinetd' ? left : []);
    expect(text.includes('chargen over UDP is not imported')).toBe(name === 'xinetd');
    expect(await failuresAt('127.0.0.1', ours)).toEqual([]);
    if (name !== 'xinetd') expect(await daytimeIn(ours)).toBe(await daytimeIn(network));
  });

  it('is never served more widely without its dialect', async () => {
    const { inetd, network } = await startPackage(name);
    const before = await socketsIn(network);
    const ours = Network.make();
    await serveImported(inetd.config, [], ours);
    const after = await socketsIn(ours);
    expect(after.filter((each) => !before.includes(each))).toEqual([]);
    expect(after.length).toBeGreaterThan(2);
  });
});

/** An entry of a xinetd.conf. */
function entryWith(flags: string): string {
  return `service echo\n{\ntype = INTERNAL\nprotocol = tcp\nwait = no\nflags = ${flags}\n}\n`;
}

/** Imports a config on a machine with these rules. Returns the exit code and everything that is said. */
async function importUnder(
  rules: string,
  text: string,
  ...options: readonly string[]
): Promise<{ code: number | null; said: string }> {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'hosts.deny'), rules);
  writeFileSync(join(directory, 'xinetd.conf'), text);
  const script = 'cd "$0" && mount --bind hosts.deny /etc/hosts.deny && exec "$@"';
  const command = ['unshare', '--mount', 'sh', '-c', script, directory, ...daemonProgram];
  const program = await run([...command, 'import', ...options, 'xinetd.conf']);
  return { code: (await program.end()).code, said: program.output + program.complaints };
}

describe('TCP wrappers', () => {
  it('leave out the services that they may restrict', async () => {
    const { code, said } = await importUnder('# why\nALL: PARANOID\n', entryWith('REUSE'));
    expect(said).toContain('"echo" is also restricted by /etc/hosts.allow and /etc/hosts.deny');
    expect(code).toBe(1);
  });

  it.each([
    ['# no rules\n', entryWith('REUSE'), []],
    ['ALL: ALL\n', entryWith('NOLIBWRAP'), []],
    ['ALL: ALL\n', entryWith('REUSE'), ['--ignore-wrappers']],
  ])('leave out nothing with %j, %j and %j', async (rules, text, options) => {
    const { code, said } = await importUnder(rules, text, ...options);
    expect(said).toContain('listen: ["tcp://*:7"]');
    expect(code).toBe(0);
  });
});

/** Attributes of an entry of xinetd.conf, each tried on a port of its own, above `defaults` or below them. */
const restrictions = [
  [],
  ['only_from = 127.0.0.1'],
  ['only_from = 127.0.1.0'],
  ['only_from = 127.0.0.{1,3}'],
  ['only_from = 127.0.{1,2}'],
  ['only_from = 127.0.0.3/30'],
  ['only_from = 0.0.0.0'],
  ['only_from = ::1'],
  ['only_from = ::/0'],
  ['no_access = ::/0'],
  ['no_access = 127.0.0.2'],
  ['no_access = 127.0.0.0'],
  ['only_from = 127.0.0.0', 'no_access = 127.0.0.1'],
  ['only_from = 127.0.0.1', 'no_access = 127.0.0.0'],
  ['only_from += 127.0.0.3'],
  ['only_from -= 127.0.0.1'],
  ['only_from = 127.0.0.1', 'only_from = 127.0.0.3'],
  ['only_from ='],
  ['instances = 0'],
  ['flags = IPv4'],
  ['flags = IPv6'],
  ['v6only = no'],
  ['bind = 127.0.0.1'],
  ['bind = ::1'],
  ['bind = ::'],
  ['bind = 127.0.0.1', 'flags = IPv6'],
  ['disable = yes'],
  ['access_times = 0:00-0:01'],
  ['instances = 1 2'],
  ['port=9'],
  ['only_from = nobody.invalid 127.0.0.1'],
] as const;

const firstPort = 20_001;

function entries(name: string, start: number): string {
  const texts = restrictions.map((attributes, index) =>
    [
      `service time\n{`,
      'type = INTERNAL UNLISTED',
      `id = ${name}-${index}`,
      `port = ${start + index}`,
      'socket_type = stream',
      'wait = no',
      ...attributes,
      '}\n',
    ].join('\n'),
  );
  return texts.join('');
}

/** Which of the ports answers which source, as `20001 from 127.0.0.1`. */
async function servedIn(network: Network, ports: readonly number[]): Promise<readonly string[]> {
  const script = `for port in ${ports.join(' ')}; do
    for source in 127.0.0.1 127.0.0.2 127.0.0.3 127.0.1.1 127.0.2.1 ::1; do
      to=127.0.0.1
      [ "$source" = ::1 ] && to=::1
      [ "$(nc -d -w 10 -s "$source" "$to" "$port" | wc -c)" = 4 ] && echo "$port from $source"
    done
  done
  true`;
  const output = await outputOf(network.inside(['bash', '-c', script]));
  return output.split('\n').filter((line) => line !== '');
}

describe('the restrictions of xinetd.conf', () => {
  it('hold as in xinetd, whatever their form', { timeout: 180_000 }, async () => {
    const config = join(temporaryDirectory(), 'xinetd.conf');
    const more = firstPort + restrictions.length;
    const defaults = 'defaults\n{\nonly_from = 127.0.0.1 127.0.0.2\n}\n';
    writeFileSync(config, `${entries('above', firstPort)}${defaults}${entries('below', more)}`);
    const ports = [...Array(2 * restrictions.length).keys()].map((index) => firstPort + index);
    const network = Network.make();
    await startXinetdWith(config, network);
    const before = await servedIn(network, ports);
    const ours = Network.make();
    const text = await serveImported(config, [], ours);
    const after = await servedIn(ours, ports);

    // Nothing that xinetd refused is served. What is not served any more is named in a comment.
    expect(after.filter((each) => !before.includes(each))).toEqual([]);
    const lost = before
      .filter((each) => !after.includes(each))
      .map((each) => Number(each.split(' ', 1)[0]) - firstPort);
    const noted = [...new Set(lost)].map((index) => restrictions[index % restrictions.length]?.join('; '));
    expect([...new Set(noted)]).toEqual(['only_from = ::/0', 'bind = 127.0.0.1; flags = IPv6', 'instances = 1 2']);
    expect(text).toContain('does not fit the flags');
    expect(text).toContain('instances has 2 values: expected 1');
    expect(after.length).toBeGreaterThan(50);
  });
});
