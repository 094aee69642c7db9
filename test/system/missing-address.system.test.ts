/** Addresses that come only after the daemon has started, as at boot. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram } from './program.ts';

needs('ip', 'nc');

const port = 1201;
const waiting = 'address not available yet, retrying';

function start(network: Network, ...set: readonly string[]): DaemonProgram {
  const args = ['workers=2', ...set].flatMap((each) => ['--set', each]);
  return new DaemonProgram(args, (argv) => network.inside(argv));
}

/** Resolves when the daemon waits for an address. */
async function waits(daemon: DaemonProgram): Promise<void> {
  await daemon.line(({ msg }) => msg === waiting);
}

describe('an address that is not there yet', () => {
  it.each(['workers=2', 'workers=0'])('is served when it comes within five seconds, with %s', async (workers) => {
    const network = Network.make();
    const listen = [`tcp://192.0.2.9:${port}`, `udp://192.0.2.9:${port}`, `tcp://127.0.0.1:${port}`].join();
    const daemon = start(network, `services.echo.listen=${listen}`, workers);
    await waits(daemon);
    network.ip('address', 'add', '192.0.2.9/32', 'dev', 'lo');
    await daemon.ready();
    const peers = new Peers(network);
    expect(await peers.tcp('192.0.2.9', port, 'late\n')).toBe('late\n');
    expect(await peers.udpAnswer('192.0.2.9', port, 'late\n')).toBe('late\n');
    expect(
      daemon.lines.filter(({ msg }) => msg === waiting).map(({ service, listen: text }) => [service, text]),
    ).toEqual([
      ['echo', `tcp://192.0.2.9:${port}`],
      ['echo', `udp://192.0.2.9:${port}`],
    ]);
  });

  it('may be an IPv6 address that is tentative, or on an interface that does not exist yet', async () => {
    const network = Network.make();
    const listen = [`tcp://[2001:db8::5]:${port}`, `udp://[fe80::5%late0]:${port}`].join();
    const daemon = start(network, `services.echo.listen=${listen}`);
    await waits(daemon);
    network.ip('link', 'add', 'late0', 'type', 'veth', 'peer', 'name', 'late1');
    for (const end of ['late0', 'late1']) network.ip('link', 'set', end, 'up');
    // Without nodad, each is tentative for a second or two.
    for (const address of ['2001:db8::5/64', 'fe80::5/64']) network.ip('address', 'add', address, 'dev', 'late0');
    await daemon.ready();
    const peers = new Peers(network);
    expect(await peers.tcp('2001:db8::5', port, 'late\n')).toBe('late\n');
    expect(await peers.udpAnswer('fe80::5%late0', port, 'late\n')).toBe('late\n');
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('does not delay %s', async (signal) => {
    const path = join(temporaryDirectory(), 'echo');
    const admin = join(temporaryDirectory(), 'admin');
    const listen = [`tcp://192.0.2.9:${port}`, `unix://${path}`].join();
    const daemon = start(Network.make(), `services.echo.listen=${listen}`, `admin.listen=unix://${admin}`);
    await waits(daemon);
    expect([existsSync(path), existsSync(admin)]).toEqual([true, true]);
    daemon.signal(signal);
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
    expect(daemon.lines.at(-1)).toMatchObject({ msg: 'stopped', exitCode: 0 });
    expect([existsSync(path), existsSync(admin)]).toEqual([false, false]);
  });

  it('is an error after five seconds, which suggests freebind', async () => {
    const daemon = start(Network.make(), `services.echo.listen=tcp://192.0.2.9:${port},tcp://127.0.0.1:${port}`);
    expect(await daemon.end()).toEqual({ code: 1, signal: null });
    expect(daemon.complaints).toBe(
      `smallservd: echo: cannot listen on tcp://192.0.2.9:${port}: this machine does not have the address 192.0.2.9 (ip address shows those that it has). ` +
        'To listen before the address exists, set "freebind: true"\n',
    );
  });

  it('is waited for by a reload, too, while the daemon serves as before', async () => {
    const network = Network.make();
    const config = join(temporaryDirectory(), 'smallservd.yaml');
    const write = (...listen: readonly string[]): void =>
      writeFileSync(config, JSON.stringify({ workers: 2, services: { echo: { listen } } }));
    write(`tcp://127.0.0.1:${port}`);
    const daemon = new DaemonProgram(['--config', config], (argv) => network.inside(argv));
    await daemon.ready();
    write(`tcp://127.0.0.1:${port}`, `tcp://192.0.2.9:${port}`);
    daemon.signal('SIGHUP');
    await waits(daemon);
    const peers = new Peers(network);
    expect(await peers.tcp('127.0.0.1', port, 'meanwhile\n')).toBe('meanwhile\n');
    network.ip('address', 'add', '192.0.2.9/32', 'dev', 'lo');
    await daemon.line(({ msg }) => msg === 'config reloaded');
    expect(await peers.tcp('192.0.2.9', port, 'late\n')).toBe('late\n');

    // A stop during the wait ends the reload, and the daemon.
    write(`tcp://192.0.2.8:${port}`);
    daemon.signal('SIGHUP');
    await daemon.until(() => daemon.lines.filter(({ msg }) => msg === waiting).length === 2, 'the second wait');
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
  });
});

it.each(['workers=2', 'workers=0'])('with freebind, listens before an address is there, with %s', async (workers) => {
  const network = Network.make();
  const hosts = ['192.0.2.9', '2001:db8::9'];
  const listen = [`tcp://192.0.2.9:${port}`, `tcp://[2001:db8::9]:${port}`, `udp://192.0.2.9:${port}`];
  const daemon = start(
    network,
    `services.echo.listen=${[...listen, `udp://[2001:db8::9]:${port}`].join()}`,
    'services.echo.freebind=true',
    'services.echo.exposeUdp=true',
    workers,
  );
  await daemon.ready();
  network.ip('address', 'add', '192.0.2.9/32', 'dev', 'lo');
  network.ip('address', 'add', '2001:db8::9/128', 'dev', 'lo', 'nodad');
  const peers = new Peers(network);
  for (const host of hosts) {
    expect(await peers.tcp(host, port, `${host}\n`)).toBe(`${host}\n`);
    expect(await peers.udpAnswer(host, port, `${host}\n`)).toBe(`${host}\n`);
  }
});
