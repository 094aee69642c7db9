import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkout, daemonProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, Program, run } from './program.ts';

needs('ip', 'nc', 'script', 'unshare', 'mount');

const named = ['echo', 'discard', 'systat', 'daytime', 'qotd', 'chargen', 'time'];

describe('a machine without IPv6', () => {
  it('runs the shipped config and logs the skipped listeners', async () => {
    const network = Network.make({ ipv6: false });
    const daemon = new DaemonProgram([], (argv) => network.inside(argv));
    await daemon.ready();
    const skipped = daemon.lines.filter(({ msg }) => msg === 'address family not available, listeners skipped');
    expect(skipped).toMatchObject([{ level: 'info', family: 'ipv6', services: expect.arrayContaining(named) }]);
    const peers = new Peers(network);
    expect(await peers.tcp('localhost', 1201, 'here\n')).toBe('here\n');
    expect(await peers.udp('localhost', 1201, 'here\n')).toBe('here\n');
    expect(daemon.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('shows only IPv4 addresses in the table on a terminal', async () => {
    const network = Network.make({ ipv6: false });
    const command = 'node dist/smallservd.js';
    const terminal = new Program(
      network.inside(['script', '--quiet', '--return', '--command', `exec ${command}`, '/dev/null']),
      {
        directory: checkout,
      },
    );
    await terminal.says(/time +127\.0\.0\.1:1237 +127\.0\.0\.1:1237/);
    terminal.type('\x03');
    expect((await terminal.end()).code).toBe(0);
  });

  it('refuses to start with a literal IPv6 address', async () => {
    const network = Network.make({ ipv6: false });
    for (const workers of ['0', '2']) {
      const set = ['--set', 'services.echo.listen=tcp://[::1]:1201', '--set', `workers=${workers}`];
      const daemon = await run(network.inside([...daemonProgram, ...set]));
      expect((await daemon.end()).code).toBe(1);
      expect(daemon.complaints).toBe('smallservd: echo: cannot listen on tcp://[::1]:1201: this machine has no IPv6\n');
    }
  });
});

describe('a machine without 127.0.0.1', () => {
  it('runs the shipped config over IPv6, with its admin endpoint', async () => {
    const network = Network.make();
    network.ip('address', 'delete', '127.0.0.1/8', 'dev', 'lo');
    const daemon = new DaemonProgram([], (argv) => network.inside(argv));
    await daemon.ready();
    const skipped = daemon.lines.filter(({ msg }) => msg === 'address family not available, listeners skipped');
    expect(skipped).toMatchObject([{ level: 'info', family: 'ipv4', services: expect.arrayContaining(named) }]);
    const status = await run(network.inside([...daemonProgram, 'status']));
    expect([(await status.end()).code, status.complaints]).toEqual([0, '']);
    expect(status.output).toContain('tcp://[::1]:1201');
    expect(await new Peers(network).tcp('::1', 1201, 'here\n')).toBe('here\n');
  });
});

/**
 * What takes the place of /etc, in a mount namespace of the process: the few files that the daemon needs, and not
 * /etc/services.
 */
function etc(services?: string): (argv: readonly string[]) => readonly string[] {
  const directory = join(temporaryDirectory(), 'etc');
  mkdirSync(directory);
  for (const file of ['passwd', 'group', 'nsswitch.conf', 'hosts']) copyFileSync(`/etc/${file}`, join(directory, file));
  if (services !== undefined) writeFileSync(join(directory, 'services'), services);
  return (argv) => ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc && exec "$@"', directory, ...argv];
}

describe.each([
  ['without /etc/services', undefined],
  ['with an empty /etc/services', ''],
])('a machine %s', (_, services) => {
  it('knows the ports of the built-in services by name', async () => {
    const network = Network.make();
    const inEtc = etc(services);
    const set = named.flatMap((name) => [
      '--set',
      `services.${name}.listen=tcp://localhost:${name},udp://localhost:${name}`,
    ]);
    const daemon = new DaemonProgram(['--config', '/dev/null', ...set], (argv) => network.inside(inEtc(argv)));
    await daemon.ready();
    const addresses = daemon.lines.filter(({ msg }) => msg === 'listening').map(({ address }) => String(address));
    expect(addresses.toSorted()).toEqual(
      [7, 9, 11, 13, 17, 19, 37]
        .flatMap((port) => [`127.0.0.1:${port}`, `[::1]:${port}`])
        .flatMap((address) => [`tcp://${address}`, `udp://${address}`])
        .toSorted(),
    );
    const peers = new Peers(network);
    expect(await peers.tcp('127.0.0.1', 13)).toMatch(/day, /);
    expect(await peers.udp('::1', 13)).toMatch(/day, /);
  });

  it('rejects other service names', async () => {
    const set = ['--set', 'services.echo.listen=tcp://localhost:gopher'];
    const daemon = await run(etc(services)([...daemonProgram, 'check', ...set]));
    expect((await daemon.end()).code).toBe(78);
    expect(daemon.complaints).toContain('gopher');
  });
});
