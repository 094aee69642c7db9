import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasIpv6 } from '../support/daemon.ts';
import {
  DaemonProcess,
  fixtures,
  inOneProcess,
  root,
  runToEnd,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { unprivileged } from '../support/nobody.ts';
import { makeFifo } from '../support/odd-files.ts';
import { canListen, freePort, takeTcpPort, takeUdpPort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until } from '../support/wait.ts';

const classic = ['daytime', 'echo', 'discard', 'systat', 'qotd', 'chargen', 'time'];
describe('the shipped config', () => {
  it('is served, with a log line for each listener and a ready line', async () => {
    const sets = [
      ...classic.flatMap((name) => ['--set', `services.${name}.listen=["tcp://localhost:0","udp://localhost:0"]`]),
      '--set',
      'services.stamp.listen=udp://localhost:0',
    ];
    const daemon = DaemonProcess.spawn(sets);
    const ready = await daemon.line('ready');
    const hosts = hasIpv6 ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
    const expected = [
      ...classic.flatMap((service) =>
        ['tcp', 'udp'].flatMap((transport) => hosts.map((host) => `${service} ${transport}://${host}`)),
      ),
      ...hosts.map((host) => `stamp udp://${host}`),
    ];
    const listening = daemon
      .linesWith('listening')
      .map(({ service, address }) => `${String(service)} ${String(address)}`);
    expect(listening.map((line) => line.replace(/:\d+$/, '')).toSorted()).toEqual(expected.toSorted());
    expect(new Set(listening).size).toBe(expected.length);
    expect(ready).toMatchObject({ level: 'info', listenerCount: expected.length });

    const daytime = await TcpClient.connect(daemon.target('daytime', 'tcp'));
    expect((await daytime.takeAll()).toString()).toMatch(/^\w+day, \w+ \d+, \d{4} \d\d:\d\d:\d\d-\S+\r\n$/);
    daytime.finish();
    const udp = await UdpClient.open('127.0.0.1');
    expect(await udp.ask('hello', daemon.target('echo', 'udp'))).toEqual(Buffer.from('hello'));
    expect(await udp.ask('', daemon.target('time', 'udp'))).toHaveLength(4);
    expect(await daemon.stop()).toBe(0);
    expect(daemon.stderr).toBe('');
  });
});

describe('services named on the command line', () => {
  it.each([
    ['echo:0', ['echo:0', 'daytime:0/tcp', '--bind', '127.0.0.1']],
    ['run echo:0', ['run', 'echo:0', 'daytime:0/tcp', '--bind', '127.0.0.1', '--set', 'workers=1']],
  ])('are served without a config file, also after a reload: %s', async (_form, args) => {
    const daemon = DaemonProcess.spawn(args);
    await daemon.line('ready', { listenerCount: 3 });
    const [echo, daytime] = [daemon.target('echo-0', 'tcp'), daemon.target('daytime-0', 'tcp')];
    daemon.signal('SIGHUP');
    await daemon.line('config reloaded');
    const client = await TcpClient.connect(echo);
    client.finish('hello');
    expect((await client.takeAll()).toString()).toBe('hello');
    const udp = await UdpClient.open('127.0.0.1');
    expect((await udp.ask('hello', daemon.target('echo-0', 'udp'))).toString()).toBe('hello');
    const reader = await TcpClient.connect(daytime);
    expect((await reader.takeAll()).toString()).toMatch(/^\w+day, .*\r\n$/);
    // The daemon would linger for its FIN.
    reader.finish();
    expect(await daemon.stop()).toBe(0);
  });

  it('can be changed with --set and the environment', async () => {
    const args = ['check', '--brief', 'echo:9000', 'time:9037/udp', '--set', 'services.echo-9000.idleTimeout=90s'];
    const env = { SMALLSERVD_SERVICES__TIME_9037__DRY_RUN: 'true', SMALLSERVD_CONFIG: '/nonexistent' };
    const { code, stdout, stderr } = await runToEnd(args, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(`# command line is valid. What differs from the defaults:
services:
  echo-9000:
    type: echo
    listen:
      - tcp://*:9000
      - udp://*:9000
    idleTimeout: 90s
  time-9037:
    type: time
    listen:
      - udp://*:9037
    dryRun: true
`);
  });

  it('must not answer strangers over UDP if they can be abused, unless that is meant', async () => {
    const refused = await runToEnd(['chargen:0']);
    expect(refused.code).toBe(78);
    expect(refused.stderr).toMatch(
      /^smallservd: command line services\.chargen-0\.listen\[1\]: udp:\/\/\*:0 exposes UDP .* \(for services on the command line: --expose-udp\)\n$/,
    );
    const daemon = DaemonProcess.spawn(['chargen:0', '--expose-udp']);
    await daemon.line('ready');
    expect(await daemon.stop()).toBe(0);
  });
});

describe('the daemon at startup', () => {
  const services = { echo: { listen: ['tcp://127.0.0.1:0'] } };

  it('changes its working directory to / and can still reload its config', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'here.yaml'), JSON.stringify({ workers: 1, services }));
    const daemon = DaemonProcess.spawn(['--config', 'here.yaml'], { cwd: directory });
    await daemon.line('ready');
    const [worker] = await daemon.workers();
    for (const pid of [daemon.pid, worker?.pid]) expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
    daemon.signal('SIGHUP');
    await daemon.line('config reloaded');
    expect(await daemon.stop()).toBe(0);
  });

  it('does not pass inherited descriptors to workers', async () => {
    const left = join(temporaryDirectory(), 'left');
    writeFileSync(left, 'for nobody else');
    // Node itself looks after the first ones.
    const program = ['exec 40<"$1" 300<"$1"; shift; exec "$@"', 'bash', left, process.execPath];
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ workers: 1, services })], {
      command: ['bash', '-c', ...program, join(root, 'dist/smallservd.js')],
    });
    await daemon.line('ready');
    const [worker] = await daemon.workers();
    expect(linksOf(daemon.pid)).toContain(left);
    expect(linksOf(worker?.pid ?? 0)).not.toContain(left);
    expect(await daemon.stop()).toBe(0);
  });
});

function linksOf(pid: number): readonly string[] {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).flatMap((descriptor) => {
    try {
      return [readlinkSync(join(directory, descriptor))];
    } catch {
      // Closed since.
      return [];
    }
  });
}

describe('exit code 1', () => {
  it.each([
    { workers: 2, transport: 'tcp' },
    { workers: 2, transport: 'udp' },
    { workers: 0, transport: 'tcp' },
    { workers: 0, transport: 'udp' },
  ] as const)('names service, address and cause if a $transport port is in use, workers: $workers', async (each) => {
    const free = await freePort();
    const port = await (each.transport === 'tcp' ? takeTcpPort() : takeUdpPort());
    const address = `${each.transport}://127.0.0.1:${port}`;
    const config = {
      ...inOneProcess,
      workers: each.workers,
      services: { time: { listen: [`tcp://127.0.0.1:${free}`] }, echo: { listen: [address] } },
    };
    const { code, stderr, lines } = await runToEnd(['--config', writeConfig(config)]);
    expect(stderr).toBe(`smallservd: echo: cannot listen on ${address}: the address is in use by another program\n`);
    expect(code).toBe(1);
    expect(lines.map(({ msg }) => msg)).not.toContain('ready');
    await expect(canListen(free)).resolves.toBe(true);
  });
});

describe('exit code 64', () => {
  it.each([
    { args: ['--frobnicate'], says: "unknown option '--frobnicate'" },
    { args: ['check', '--frobnicate'], says: "unknown option '--frobnicate'" },
    {
      args: ['frobnicate'],
      says: "unknown command 'frobnicate': expected run, check, reload, status, top, faults, services, import or install-service, or services",
    },
    {
      args: ['help', 'frobnicate'],
      says: "unknown command 'frobnicate': expected run, check, reload, status, top, faults, services, import or install-service, or services",
    },
    {
      args: ['--set', 'workers=0', 'check'],
      says: 'put the command before its options: smallservd check [options]\n',
    },
    { args: ['--config', 'x', 'services'], says: 'put the command before its options: smallservd services\n' },
    { args: ['--json', 'status'], says: 'put the command before its options: smallservd status [options]\n' },
    { args: ['--config', 'check', 'foo'], says: "unknown command 'foo': expected run, " },
    { args: ['--config'], says: '--config needs a value\n' },
    { args: ['one.yaml'], says: "unknown command 'one.yaml': name a config with --config FILE\n" },
    {
      args: ['run', 'one.yaml'],
      says: '"one.yaml": expected TYPE[:PORT][/tcp|/udp], such as echo:9000; name a config',
    },
    { args: ['check', './one'], says: '"./one": expected TYPE[:PORT][/tcp|/udp], such as echo:9000' },
    { args: ['ehco:9000'], says: '"ehco:9000": unknown service: expected one of echo, ' },
    { args: ['echo:9000', '--config', 'x'], says: '--config cannot be combined with services\n' },
    { args: ['--bind', '::1'], says: '--bind needs services, such as echo:9000\n' },
    { args: ['check', '--expose-udp'], says: '--expose-udp needs services, such as echo:9000\n' },
    { args: ['reload', 'one.yaml'], says: 'reload takes no arguments: name a config with --config FILE\n' },
    { args: ['status', 'one.yaml'], says: 'status takes no arguments: name a config with --config FILE\n' },
    { args: ['services', 'echo'], says: 'services takes no arguments\n' },
    { args: ['check', '--jsn'], says: "unknown option '--jsn'; did you mean --json?\n" },
  ])('is returned for $args', async ({ args, says }) => {
    const { code, stdout, stderr } = await runToEnd(args);
    expect(stderr).toContain(`smallservd: ${says}`);
    expect(stderr).toContain('Try: smallservd --help');
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  });
});

describe('exit code 77', () => {
  it('lists three ways to open a port below 1024 if it is not permitted', async () => {
    // Debian lets only root take it; in many containers everybody may. Either is the truth of one machine.
    const firstFree = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
    const port = await freeLowPort();
    const config = writeConfig({ services: { echo: { listen: [`tcp://127.0.0.1:${port}`] } } });
    const daemon = DaemonProcess.spawn(['--config', config], unprivileged());
    if (port >= firstFree) {
      await daemon.line('ready');
      expect(await daemon.stop()).toBe(0);
      return;
    }
    expect(await daemon.closed()).toBe(77);
    expect(daemon.stderr).toContain(`smallservd: echo: cannot listen on tcp://127.0.0.1:${port}: not permitted`);
    expect(daemon.stderr).toContain('CAP_NET_BIND_SERVICE');
    expect(daemon.stderr).toContain('sysctl net.ipv4.ip_unprivileged_port_start=0');
    expect(daemon.stderr).toContain('starting as root with "workers" above 0');
  });

  it('is returned if a user other than root sets "user" to another user', async () => {
    const config = writeConfig({ user: 'root', services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
    const { code, stderr } = await runToEnd(['--config', config], unprivileged());
    expect(stderr).toBe('smallservd: user root: only root can start workers as another user\n');
    expect(code).toBe(77);
  });

  it('is returned if the log file is not writable', async () => {
    const directory = temporaryDirectory(0o755);
    mkdirSync(join(directory, 'private'), { mode: 0o500 });
    const file = join(directory, 'private/smallservd.log');
    const config = writeConfig({ log: { file }, services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
    const { code, stderr } = await runToEnd(['--config', config], unprivileged());
    expect(stderr).toContain(`smallservd: log.file ${file}: permission denied\n`);
    expect(code).toBe(77);
  });
});

describe('exit code 78', () => {
  it('reports every error at once, as file:line:column', async () => {
    const file = writeConfig(
      [
        'workers: many',
        'services:',
        '  echo:',
        '    listen: ["tcp://localhost:0"]',
        '    idleTimout: 5m',
        '  nothing: {}',
        '',
      ].join('\n'),
    );
    const { code, stdout, stderr } = await runToEnd(['--config', file]);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.filter((line) => line.startsWith(`smallservd: ${file}:1:10 workers: `))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith(`smallservd: ${file}:5:5 services.echo.idleTimout: `))).toHaveLength(
      1,
    );
    expect(lines.filter((line) => line.startsWith(`smallservd: ${file}:6:3 services.nothing: `))).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
  });

  it('names the variable and the option', async () => {
    const file = writeConfig({ services: { echo: { listen: ['tcp://localhost:0'] } } });
    const env = { SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOUT: 'soon' };
    const { code, stderr } = await runToEnd(['--config', file, '--set', 'log.level=loud'], { env });
    expect(stderr).toMatch(/^smallservd: .*SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOUT: /m);
    expect(stderr).toMatch(/^smallservd: --set log\.level: /m);
    expect(code).toBe(78);
  });

  it.each(['run', 'check'])('names file and line of an invalid quotation: %s', async (command) => {
    const directory = temporaryDirectory();
    const quotations = join(directory, 'quotations.txt');
    writeFileSync(quotations, `Good.\n${'too long '.repeat(60)}\n`);
    const file = join(directory, 'smallservd.yaml');
    writeFileSync(file, JSON.stringify({ services: { qotd: { listen: ['tcp://localhost:0'], file: quotations } } }));
    const { code, stderr } = await runToEnd([command, '--config', file]);
    expect(stderr).toMatch(new RegExp(`^smallservd: ${quotations}:2 services\\.qotd: .*at most 511 characters`, 'm'));
    expect(code).toBe(78);
  });

  it('names a missing config file', async () => {
    const { code, stderr } = await runToEnd(['--config', '/nowhere/smallservd.yaml']);
    expect(stderr).toBe('smallservd: cannot read the config /nowhere/smallservd.yaml: no such file\n');
    expect(code).toBe(78);
  });
});

describe('an unfinished start', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)(
    'is stopped by %s while the services are created',
    async (signal) => {
      const module = join(fixtures, 'never-created.js');
      const config = writeConfig({ ...inOneProcess, services: { slow: { module, listen: ['tcp://127.0.0.1:0'] } } });
      const daemon = DaemonProcess.spawn(['--config', config]);
      await daemon.waitFor(() => daemon.stderr.includes('created for ever'), 'the service to be created');
      daemon.signal('SIGHUP');
      daemon.signal(signal);
      expect(await daemon.closed()).toBe(0);
      expect(daemon.lines.map(({ msg }) => msg)).toContain('starting');
      expect(daemon.lines.at(-1)).toMatchObject({ msg: 'stopped', exitCode: 0 });
      expect(daemon.stderr).toBe('created for ever\n');
    },
  );

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('is stopped by %s before the log is open', async (signal) => {
    const directory = temporaryDirectory();
    const getent = join(directory, 'getent');
    writeFileSync(getent, '#!/bin/sh\necho asked >&2\ntouch "$0.asked"\nexec sleep 1000\n', { mode: 0o755 });
    const config = writeConfig({ user: 'somebody', services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
    const env = { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
    const daemon = DaemonProcess.spawn(['--config', config], { env });
    await until(() => existsSync(`${getent}.asked`), 'the question after the user');
    daemon.signal(signal);
    expect(await daemon.ended()).toBe(0);
    expect({ stdout: daemon.stdout, stderr: daemon.stderr }).toEqual({ stdout: '', stderr: '' });
  });

  it('is stopped by SIGTERM even if a thread is blocked forever', async () => {
    const module = join(fixtures, 'never-read.js');
    const fifo = join(temporaryDirectory(), 'fifo');
    makeFifo(fifo);
    const services = { slow: { module, listen: ['tcp://127.0.0.1:0'], options: { file: fifo } } };
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ ...inOneProcess, services })]);
    await daemon.waitFor(() => daemon.stderr.includes('reading for ever'), 'the service to read');
    daemon.signal('SIGTERM');
    expect(await daemon.ended()).toBe(0);
  });

  it('is stopped by SIGTERM and never logs ready', async () => {
    const services = { slow: { module: join(fixtures, 'never-starts.js'), listen: ['tcp://127.0.0.1:0'] } };
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ workers: 2, services })]);
    await daemon.line('starting for ever', { worker: 1 });
    await daemon.line('starting for ever', { worker: 2 });
    expect(await daemon.stop()).toBe(0);
    expect(daemon.lines.at(-1)).toMatchObject({ msg: 'stopped', exitCode: 0 });
    expect(daemon.linesWith('ready')).toEqual([]);
    expect(daemon.stderr).toBe('');
  });

  it('completes even if a worker dies during startup', async () => {
    const options = { marker: join(temporaryDirectory(), 'died') };
    const services = { frail: { module: join(fixtures, 'dies-at-start.js'), listen: ['tcp://127.0.0.1:0'], options } };
    const daemon = await DaemonProcess.serve({ workers: 2, services });
    const names = daemon.lines.map(({ msg }) => msg);
    expect(names).toContain('worker exited, restarting');
    const client = await TcpClient.connect(daemon.target('frail', 'tcp'));
    expect((await client.takeAll()).toString()).toBe('alive\n');
    client.finish();
    expect(await daemon.workers()).toHaveLength(2);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('smallservd', () => {
  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(await runToEnd(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('prints its help with examples, signals and exit codes', async () => {
    const { code, stdout, stderr } = await runToEnd(['--help']);
    for (const part of [
      '--config /etc/smallservd.yaml',
      '--set services.echo.idleTimeout=1m',
      'check',
      'services',
      'Examples:',
      'USR2',
      '78 invalid config',
    ])
      expect(stdout).toContain(part);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('lists the built-in services with RFC, port and options', async () => {
    const { code, stdout } = await runToEnd(['services']);
    for (const [name, rfc, port] of [
      ['echo', 862, 7],
      ['discard', 863, 9],
      ['chargen', 864, 19],
      ['qotd', 865, 17],
      ['systat', 866, 11],
      ['daytime', 867, 13],
      ['time', 868, 37],
      ['stamp', 8762, 862],
    ])
      expect(stdout).toMatch(new RegExp(`^${name} +RFC ${rfc} +${port} `, 'm'));
    expect(stdout).toMatch(/^daytime .*format/m);
    expect(code).toBe(0);
  });
});

/** A port below 1024 on which nobody listens: nobody accepts a connection there. */
async function freeLowPort(): Promise<number> {
  for (let port = 1023; port > 900; port -= 1) {
    const error = await TcpClient.connect({ host: '127.0.0.1', port }).then(
      () => undefined,
      (cause: NodeJS.ErrnoException) => cause.code,
    );
    if (error === 'ECONNREFUSED') return port;
  }
  throw new Error('all low ports of this machine are taken');
}
