import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { daemonProgram, identityOf, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, kill, run } from './program.ts';

needs('systemd-socket-activate', 'nc', 'ip', 'python3');

interface Activated {
  readonly daemon: DaemonProgram;
  readonly peers: Peers;
}

/**
 * The daemon as systemd-socket-activate starts it: that one opens the sockets, and becomes the daemon at the first
 * client or datagram. `sets` are what the daemon's `--set` options say.
 */
async function activate(sockets: readonly string[], sets: readonly string[]): Promise<Activated> {
  const network = Network.make();
  const daemon = new DaemonProgram(['--config', '/dev/null', ...sets.flatMap((each) => ['--set', each])], (argv) =>
    network.inside(['systemd-socket-activate', ...sockets, ...argv]),
  );
  const count = sockets.filter((each) => each === '-l').length;
  await daemon.until(() => (daemon.complaints.match(/^Listening on /gm) ?? []).length === count, 'the sockets');
  return { daemon, peers: new Peers(network) };
}

/** Kills each worker in turn, and asks at once, before it is back. */
async function killInTurn(daemon: DaemonProgram, ask: () => Promise<void>): Promise<void> {
  const first = daemon.workers;
  expect(first.length).toBe(2);
  for (const [index, worker] of first.entries()) {
    kill(worker, 'SIGKILL');
    await ask();
    await daemon.workersBack(index + 1);
    await ask();
  }
}

describe('inherited TCP sockets', () => {
  it('are served by descriptor number', async () => {
    const { daemon, peers } = await activate(
      ['-l', '127.0.0.1:7001', '-l', '[::1]:7002'],
      ['services.echo.listen=[fd://3]', 'services.daytime.listen=[fd://4]'],
    );
    expect(await peers.tcp('127.0.0.1', 7001, 'the first\n')).toBe('the first\n');
    expect(await peers.tcp('::1', 7002)).toMatch(/day, /);
    expect(await peers.tcp('127.0.0.1', 7001, 'x'.repeat(300_000))).toBe('x'.repeat(300_000));
    await daemon.ready();
    const addresses = daemon.lines.filter(({ msg }) => msg === 'listening').map(({ address }) => String(address));
    expect(addresses.toSorted()).toEqual(['tcp://127.0.0.1:7001', 'tcp://[::1]:7002']);
    for (const worker of daemon.workers) expect(identityOf(worker).uids).toEqual([65534, 65534, 65534, 65534]);
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
  });

  it('are served by name, including a name shared by several sockets', async () => {
    const { peers } = await activate(
      ['-l', '127.0.0.1:7001', '-l', '7002', '-l', '[::1]:7003', '--fdname=one:day:one'],
      ['services.echo.listen=[systemd:one]', 'services.daytime.listen=[systemd:day]'],
    );
    expect(await peers.tcp('127.0.0.1', 7001, 'here\n')).toBe('here\n');
    expect(await peers.tcp('::1', 7003, 'here\n')).toBe('here\n');
    for (const host of ['127.0.0.1', '::1']) expect(await peers.tcp(host, 7002)).toMatch(/day, /);
  });

  it('keep working when a worker is killed', async () => {
    const { daemon, peers } = await activate(['-l', '7001'], ['workers=2', 'services.echo.listen=[fd://3]']);
    expect(await peers.tcp('127.0.0.1', 7001, 'here\n')).toBe('here\n');
    await daemon.ready();
    await killInTurn(daemon, async () => {
      for (const text of ['one\n', 'two\n', 'three\n']) expect(await peers.tcp('::1', 7001, text)).toBe(text);
    });
  });

  it('stay open when all workers are killed at once, and are served by the next', async () => {
    const { daemon, peers } = await activate(['-l', '7001'], ['workers=2', 'services.echo.listen=[fd://3]']);
    expect(await peers.tcp('127.0.0.1', 7001, 'here\n')).toBe('here\n');
    await daemon.ready();
    for (const worker of daemon.workers) kill(worker, 'SIGKILL');
    expect(await peers.tcp('127.0.0.1', 7001, 'again\n')).toBe('again\n');
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
  });

  it('work with workers: 0', async () => {
    const { daemon, peers } = await activate(['-l', '7001'], ['workers=0', 'services.echo.listen=[fd://3]']);
    expect(await peers.tcp('127.0.0.1', 7001, 'here\n')).toBe('here\n');
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
  });
});

describe('an inherited UNIX socket', () => {
  it('is served and not removed on exit', async () => {
    const path = join(temporaryDirectory(), 'echo.sock');
    const { daemon, peers } = await activate(
      ['-l', path, '--fdname=local'],
      ['workers=2', 'services.echo.listen=[systemd:local]'],
    );
    expect(await peers.unix(path, 'here\n')).toBe('here\n');
    await daemon.ready();
    await killInTurn(daemon, async () => expect(await peers.unix(path, 'again\n')).toBe('again\n'));
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
    // It is systemd's, not ours to remove.
    expect(statSync(path).isSocket()).toBe(true);
  });
});

describe('inherited UDP sockets', () => {
  it.each([
    ['workers=0', 'user=root'],
    ['workers=2', 'user=nobody'],
  ])('are refused for chargen on a non-loopback address: %s', async (...sets) => {
    const network = Network.make();
    // Nobody has to ask first: the daemon refuses before it reads.
    const listen = ['-d', '-l', '0.0.0.0:7001', '--fdname=chargen'];
    const service = 'services.chargen.listen=[systemd:chargen]';
    const argv = ['--config', '/dev/null', ...[...sets, service].flatMap((each) => ['--set', each])];
    const daemon = new DaemonProgram(argv, (rest) => network.inside(['systemd-socket-activate', ...listen, ...rest]));
    await daemon.until(() => daemon.complaints.includes('Listening on '), 'the socket');
    await new Peers(network).udp('127.0.0.1', 7001, 'x').catch(() => '');
    expect(await daemon.end()).toEqual({ code: 78, signal: null });
    expect(daemon.complaints).toContain('chargen: systemd:chargen (0.0.0.0) exposes UDP to public addresses');
  });

  it('are served by descriptor number and by name from the first datagram on', async () => {
    for (const [listen, options] of [
      [['fd://3', 'fd://4'], []],
      [['systemd:one', 'systemd:other'], ['--fdname=one:other']],
    ] as const) {
      const { daemon, peers } = await activate(
        ['-d', '-l', '127.0.0.1:7001', '-l', '[::1]:7002', ...options],
        [`services.echo.listen=[${listen[0]}]`, `services.daytime.listen=[${listen[1]}]`],
      );
      expect(await peers.udpAnswer('127.0.0.1', 7001, 'the first\n')).toBe('the first\n');
      expect(await peers.udpAnswer('::1', 7002)).toMatch(/day, /);
      await daemon.ready();
      const addresses = daemon.lines.filter(({ msg }) => msg === 'listening').map(({ address }) => String(address));
      expect(addresses.toSorted()).toEqual(['udp://127.0.0.1:7001', 'udp://[::1]:7002']);
      daemon.signal('SIGTERM');
      expect(await daemon.end()).toEqual({ code: 0, signal: null });
    }
  });

  it('are served at once by the other worker when their worker is killed', async () => {
    const { daemon, peers } = await activate(
      ['-d', '-l', '127.0.0.1:7001', '-l', '[::1]:7002'],
      ['workers=2', 'services.echo.listen=[fd://3]', 'services.daytime.listen=[fd://4]'],
    );
    expect(await peers.udpAnswer('127.0.0.1', 7001, 'here\n')).toBe('here\n');
    await daemon.ready();
    await killInTurn(daemon, async () => {
      const echoed = await peers.udpAnswer('127.0.0.1', 7001, 'here\n', 1000);
      const daytime = await peers.udpAnswer('::1', 7002, '\n', 1000);
      expect(echoed).toBe('here\n');
      expect(daytime).toMatch(/day, /);
    });
  });

  it('survive the death of all workers at once', async () => {
    const { daemon, peers } = await activate(['-d', '-l', '7001'], ['workers=2', 'services.echo.listen=[fd://3]']);
    expect(await peers.udpAnswer('127.0.0.1', 7001, 'here\n')).toBe('here\n');
    await daemon.ready();
    for (const worker of daemon.workers) kill(worker, 'SIGKILL');
    await daemon.workersBack(2);
    expect(await peers.udpAnswer('127.0.0.1', 7001, 'again\n')).toBe('again\n');
  });

  it('work with workers: 0', async () => {
    const { peers } = await activate(['-d', '-l', '7001'], ['workers=0', 'services.echo.listen=[fd://3]']);
    expect(await peers.udpAnswer('127.0.0.1', 7001, 'here\n')).toBe('here\n');
    expect(await peers.udpAnswer('::1', 7001, 'here\n')).toBe('here\n');
  });
});

describe('a missing or unusable descriptor', () => {
  it('makes the daemon exit with 78 and list the names that were passed', async () => {
    const { daemon, peers } = await activate(
      ['-l', '7001', '-l', '7002', '--fdname=one:other'],
      ['services.echo.listen=[systemd:one]', 'services.daytime.listen=[systemd:nosuch]'],
    );
    await peers.tcp('127.0.0.1', 7001);
    expect((await daemon.end()).code).toBe(78);
    expect(daemon.complaints).toMatch(
      /^smallservd: daytime: systemd:nosuch: no descriptor of that name was passed .*; the names passed are one, other$/m,
    );
  });

  it.each([
    ['systemd:echo', {}, /^smallservd: echo: systemd:echo: .*; no descriptors were passed$/m],
    [
      'systemd:echo',
      { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'echo' },
      /^smallservd: echo: systemd:echo: .*; no descriptors were passed$/m,
    ],
    ['fd://93', {}, /^smallservd: echo: fd:\/\/93: descriptor 93 is not open/m],
    ['fd://0', {}, /^smallservd: /m],
  ])('makes the daemon exit with 78: %s with %o', async (listen, env, message) => {
    const daemon = await run([...daemonProgram, '--config', '/dev/null', '--set', `services.echo.listen=[${listen}]`], {
      env,
    });
    expect((await daemon.end()).code).toBe(78);
    expect(daemon.complaints).toMatch(message);
  });

  it('makes the daemon exit with 78 if it is neither a stream nor a UDP socket', async () => {
    const path = join(temporaryDirectory(), 'odd.sock');
    const { daemon } = await activate(['--seqpacket', '-l', path], ['services.echo.listen=[fd://3]']);
    await run([
      'python3',
      '-c',
      `import socket as s; s.socket(s.AF_UNIX, s.SOCK_SEQPACKET).connect(${JSON.stringify(path)})`,
    ]);
    expect((await daemon.end()).code).toBe(78);
    expect(daemon.complaints).toMatch(
      /^smallservd: echo: fd:\/\/3: descriptor 3 is neither a listening stream socket nor a UDP socket$/m,
    );
  });
});
