import { existsSync, lstatSync, readFileSync, rmSync, symlinkSync, unlinkSync, watch, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  DaemonProcess,
  inOneProcess,
  root,
  runToEnd,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { TcpClient } from '../support/tcp.ts';
import { until } from '../support/wait.ts';

const isRoot = process.geteuid?.() === 0;

/** Who serves, unless the config says otherwise. */
const usual = isRoot ? { uid: 65_534, gid: 65_534 } : { uid: process.geteuid?.(), gid: process.getegid?.() };
const failed = 'reload failed, keeping the running config';

/** Starts the daemon without any umask: what is private is so by its own doing. */
function spawnOpenly(config: string): DaemonProcess {
  const command = [
    'sh',
    '-c',
    'umask 0 && exec "$0" "$@"',
    process.execPath,
    join(root, 'dist/smallservd.js'),
  ] as const;
  return DaemonProcess.spawn(['--config', config], { command: [...command] });
}

async function serveOpenly(config: object): Promise<DaemonProcess> {
  const daemon = spawnOpenly(writeConfig(config));
  await daemon.line('ready');
  return daemon;
}

function accessOf(path: string): { readonly mode: string; readonly uid: number; readonly gid: number } {
  const { mode, uid, gid } = lstatSync(path);
  return { mode: (mode & 0o7777).toString(8), uid, gid };
}

/** The modes that sockets in a directory are seen with, as soon as anything is told of them. */
function modesIn(directory: string): ReadonlySet<string> {
  const modes = new Set<string>();
  const watcher = watch(directory, (_event, name) => {
    const path = join(directory, name ?? '');
    if (existsSync(path) && lstatSync(path).isSocket()) modes.add(accessOf(path).mode);
  });
  onTestFinished(() => watcher.close());
  return modes;
}

async function echoes(path: string): Promise<void> {
  const client = await TcpClient.connect({ path });
  client.finish('hello');
  expect((await client.takeAll()).toString()).toBe('hello');
}

async function reload(daemon: DaemonProcess, file: string, config: object): Promise<string> {
  const results = () => daemon.lines.filter(({ msg }) => msg === 'config reloaded' || msg === failed);
  const before = results().length;
  writeFileSync(file, JSON.stringify(config));
  daemon.signal('SIGHUP');
  await daemon.waitFor(() => results().length > before, 'the end of the reload');
  return results()[before]?.msg ?? '';
}

describe.each([
  ['with workers', { workers: 2 }, usual],
  ['in one process', inOneProcess, isRoot ? { uid: 0, gid: 0 } : usual],
])('UNIX socket files %s', (_, processes, served) => {
  it('are private until they get the owner of the serving process and mode 0660', async () => {
    const directory = temporaryDirectory();
    const [path, admin, open] = ['echo.sock', 'admin.sock', 'open.sock'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    const modes = modesIn(directory);
    const daemon = await serveOpenly({
      ...processes,
      admin: { listen: `unix://${admin}` },
      services: { echo: { listen: [`unix://${path}`, `unix://${open}?mode=0666`] } },
    });
    expect(accessOf(path)).toEqual({ mode: '660', ...served });
    expect(accessOf(open)).toEqual({ mode: '666', ...served });
    // Served by another process, which must not be able to remove it.
    expect(accessOf(admin)).toEqual({ mode: '660', ...usual, uid: process.geteuid?.() });
    await echoes(path);
    const asked = request({ socketPath: admin, path: '/livez', agent: false }).end();
    const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
    for (const mode of modes) expect(['600', '700', '660', '666']).toContain(mode);
    expect(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')).toMatch(/^Umask:\s0077$/m);
    expect(daemon.linesWith('listening').map(({ address }) => address)).toEqual([`unix://${path}`, `unix://${open}`]);
    expect(await daemon.stop()).toBe(0);
    await until(() => ![path, admin, open].some((file) => existsSync(file)), 'the end of the sockets');
  });

  it('leave the log file private', async () => {
    const file = join(temporaryDirectory(0o755), 'smallservd.log');
    const listen = `unix://${join(temporaryDirectory(), 'echo.sock')}`;
    const daemon = spawnOpenly(writeConfig({ ...processes, log: { file }, services: { echo: { listen } } }));
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes('"ready"'), 'the start');
    expect(accessOf(file).mode).toBe('600');
    expect(await daemon.stop()).toBe(0);
  });

  it('take parameters from the environment and the command line', async () => {
    const directory = temporaryDirectory();
    const [echo, time] = [join(directory, 'echo.sock'), join(directory, 'time.sock')];
    const services = { echo: { listen: `unix://${echo}` }, time: { listen: `unix://${time}` } };
    const set = `services.time.listen=unix://${time}?mode=0640&owner=${served.uid}`;
    const daemon = DaemonProcess.spawn(['--config', writeConfig({ ...processes, services }), '--set', set], {
      env: { SMALLSERVD_SERVICES__ECHO__LISTEN: `unix://${echo}?mode=0604` },
    });
    await daemon.line('ready');
    expect([accessOf(echo).mode, accessOf(time).mode]).toEqual(['604', '640']);
  });
});

it('a UNIX socket stays as it is when all workers die', async () => {
  const path = join(temporaryDirectory(), 'echo.sock');
  const daemon = await serveOpenly({ workers: 2, services: { echo: { listen: `unix://${path}?mode=0606` } } });
  const expected = { mode: '606', ...usual };
  expect(accessOf(path)).toEqual(expected);
  const before = lstatSync(path, { bigint: true });
  for (const { pid } of await daemon.workers()) process.kill(pid, 'SIGKILL');
  await daemon.waitFor(() => daemon.linesWith('worker ready again').length === 2, 'the workers');
  expect(accessOf(path)).toEqual(expected);
  expect(lstatSync(path, { bigint: true })).toMatchObject({ ino: before.ino, ctimeNs: before.ctimeNs });
  await echoes(path);
});

function configOf(...listen: readonly string[]): object {
  return { workers: 2, services: { echo: { listen } } };
}

describe('a reload', () => {
  it('changes the mode of a kept socket without disconnecting clients', async () => {
    const [path, added] = [join(temporaryDirectory(), 'echo.sock'), join(temporaryDirectory(), 'added.sock')];
    const file = writeConfig(configOf(`unix://${path}`));
    const daemon = spawnOpenly(file);
    await daemon.line('ready');
    const client = await TcpClient.connect({ path });
    client.write('before');
    await client.take(6);
    const { ino } = lstatSync(path);
    expect(await reload(daemon, file, configOf(`unix://${path}?mode=0600`, `unix://${added}?mode=0644`))).toBe(
      'config reloaded',
    );
    expect(daemon.linesWith('config changes')).toMatchObject([
      { added: [`echo unix://${added}?mode=0644`], removed: [], kept: 1 },
    ]);
    expect([accessOf(path).mode, accessOf(added).mode, lstatSync(path).ino]).toEqual(['600', '644', ino]);
    await echoes(path);
    await echoes(added);
    client.finish(' and after');
    expect((await client.takeAll()).toString()).toBe('before and after');
    expect(await reload(daemon, file, configOf(`unix://${path}`))).toBe('config reloaded');
    expect([accessOf(path).mode, lstatSync(path).ino]).toEqual(['660', ino]);
  });

  it('leaves sockets unchanged if it fails', async () => {
    const [path, other] = [join(temporaryDirectory(), 'echo.sock'), join(temporaryDirectory(), 'other.sock')];
    const withMode = (mode: string): object => ({
      workers: 2,
      services: { echo: { listen: [`unix://${path}?mode=${mode}`, `unix://${other}?mode=${mode}`] } },
    });
    const file = writeConfig(withMode('0640'));
    const daemon = spawnOpenly(file);
    await daemon.line('ready');
    // The first one gets its new mode; the second one is another file.
    unlinkSync(other);
    writeFileSync(other, '');
    expect(await reload(daemon, file, withMode('0666'))).toBe(failed);
    expect(daemon.linesWith(failed)).toMatchObject([{ code: 'LISTEN_FAILED' }]);
    expect(accessOf(path).mode).toBe('640');
    await echoes(path);
  });

  it('creates a socket again that somebody has removed', async () => {
    const path = join(temporaryDirectory(), 'echo.sock');
    const file = writeConfig(configOf(`unix://${path}?mode=0640`));
    const daemon = spawnOpenly(file);
    await daemon.line('ready');
    unlinkSync(path);
    expect(await reload(daemon, file, configOf(`unix://${path}?mode=0640`))).toBe('config reloaded');
    expect(accessOf(path).mode).toBe('640');
    await echoes(path);
  });

  it('never changes the target of a symbolic link that replaced the socket', async () => {
    const directory = temporaryDirectory();
    const [path, target] = [join(directory, 'echo.sock'), join(directory, 'target')];
    const withMode = (mode: string): object => ({
      workers: 2,
      services: { echo: { listen: `unix://${path}?mode=${mode}` } },
    });
    const file = writeConfig(withMode('0660'));
    const daemon = spawnOpenly(file);
    await daemon.line('ready');
    writeFileSync(target, 'precious', { mode: 0o600 });
    const before = accessOf(target);
    rmSync(path);
    symlinkSync(target, path);
    expect(await reload(daemon, file, withMode('0666'))).toBe(failed);
    const [line] = daemon.linesWith(failed);
    expect(line?.['errors']).toEqual([
      `echo: cannot listen on unix://${path}?mode=0666: its file is not the socket that was created there: someone has replaced it`,
    ]);
    expect(accessOf(target)).toEqual(before);
  });

  it('fails if it would change the admin endpoint', async () => {
    const directory = temporaryDirectory();
    const withMode = (mode: string): object => ({
      workers: 2,
      admin: { listen: `unix://${join(directory, 'admin.sock')}?mode=${mode}` },
      services: { echo: { listen: 'tcp://127.0.0.1:0' } },
    });
    const file = writeConfig(withMode('0600'));
    const daemon = spawnOpenly(file);
    await daemon.line('ready');
    expect(await reload(daemon, file, withMode('0666'))).toBe(failed);
    expect(daemon.linesWith(failed)).toMatchObject([{ code: 'RELOAD_NEEDS_RESTART' }]);
    expect(accessOf(join(directory, 'admin.sock')).mode).toBe('600');
  });
});

describe('a directory that does not exist', () => {
  it.each(['check', 'run'])('is named by %s', async (command) => {
    const listen = 'unix:///nonexistent/dir/echo.sock';
    const config = writeConfig({ services: { echo: { listen: [listen] } } });
    const { code, stderr } = await runToEnd([command, '--config', config]);
    expect(stderr).toMatch(
      /echo.* unix:\/\/\/nonexistent\/dir\/echo\.sock: there is no directory \/nonexistent\/dir\n$/,
    );
    expect([1, 78]).toContain(code);
  });
});

describe('an unknown owner or group', () => {
  const text = `
admin: { listen: "unix:///run/admin.sock?group=no-such-group" }
services:
  echo:
    listen:
      - unix:///run/a.sock?owner=no-such-user
      - unix:///run/b.sock?group=47110&owner=47110
      - unix:///run/c.sock?mode=0600&group=no-such-group&owner=root
`;

  it.each([['check'], ['run']])('fails %s with its position in the config', async (command) => {
    const config = writeConfig(text);
    const { code, stderr } = await runToEnd([command, '--config', config]);
    expect(stderr.split('\n')).toEqual([
      `smallservd: ${config}:2:18 admin.listen: unix:///run/admin.sock?group=no-such-group: "no-such-group" is not a group on this machine`,
      `smallservd: ${config}:6:9 services.echo.listen[0]: unix:///run/a.sock?owner=no-such-user: "no-such-user" is not a user on this machine`,
      `smallservd: ${config}:8:9 services.echo.listen[2]: unix:///run/c.sock?mode=0600&group=no-such-group&owner=root: "no-such-group" is not a group on this machine`,
      '',
    ]);
    expect(code).toBe(78);
  });
});
