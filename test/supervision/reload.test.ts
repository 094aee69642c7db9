import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { snapshot } from '../unit/server/admin/snapshot.ts';
import {
  DaemonProcess,
  inOneProcess,
  isRunning,
  root,
  runToEnd,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { Load } from '../support/load.ts';
import { unprivileged } from '../support/nobody.ts';
import { freePort, takeTcpPort } from '../support/ports.ts';
import { fakeTcpServer } from '../support/fake-servers.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until } from '../support/wait.ts';

/** A daemon whose config can be written anew. */
class Reloadable {
  readonly daemon: DaemonProcess;
  readonly #file: string;

  private constructor(daemon: DaemonProcess, file: string) {
    this.daemon = daemon;
    this.#file = file;
  }

  static async serve(config: object): Promise<Reloadable> {
    const file = writeConfig(config);
    return Reloadable.of(DaemonProcess.spawn(['--config', file]), file);
  }

  static async of(daemon: DaemonProcess, file: string): Promise<Reloadable> {
    await daemon.line('ready');
    return new Reloadable(daemon, file);
  }

  get file(): string {
    return this.#file;
  }

  write(config: object | string): void {
    writeFileSync(this.#file, typeof config === 'string' ? config : JSON.stringify(config));
  }

  /** Resolves with the line that tells how it ended. */
  async reload(config: object | string): Promise<string> {
    this.write(config);
    const before = this.#results;
    this.daemon.signal('SIGHUP');
    await this.daemon.waitFor(() => this.#results > before, 'the end of the reload');
    return this.daemon.lines.findLast(({ msg }) => isResult(msg))?.msg ?? '';
  }

  get #results(): number {
    return this.daemon.lines.filter(({ msg }) => isResult(msg)).length;
  }
}

const failed = 'reload failed, keeping the running config';

/** Starts the daemon with a listening socket as descriptor 3, and passes signals on to it. */
const withDescriptor = `
const server = require('node:net').createServer().listen(0, '127.0.0.1', () => {
  const stdio = ['ignore', 'inherit', 'inherit', server._handle.fd];
  const daemon = require('node:child_process').spawn(process.execPath, process.argv.slice(1), { stdio });
  for (const signal of ['SIGHUP', 'SIGTERM']) process.on(signal, () => daemon.kill(signal));
  daemon.on('exit', (code) => process.exit(code ?? 1));
});`;

function isResult(msg: string): boolean {
  return msg === 'config reloaded' || msg === failed;
}

async function says(target: { host: string; port: number }, text: string): Promise<void> {
  const client = await TcpClient.connect(target);
  client.finish(text);
  expect((await client.takeAll()).toString()).toBe(text);
}

describe('SIGHUP', () => {
  it('serves new clients with the new config while existing clients finish under the old config', async () => {
    const [port, added] = [await freePort(), await freePort()];
    const listen = [`tcp://127.0.0.1:${port}`, `udp://127.0.0.1:${port}`];
    const daytime = { listen: ['tcp://127.0.0.1:0'], format: 'iso8601' };
    const reloadable = await Reloadable.serve({ workers: 2, services: { echo: { listen }, daytime } });
    const { daemon } = reloadable;
    const old = await daemon.workers();
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    client.write('before');
    await client.take(6);

    const echo = { listen: [...listen, `tcp://127.0.0.1:${added}`], idleTimeout: '1m' };
    const nist = { ...daytime, format: 'nist' };
    expect(await reloadable.reload({ workers: 3, services: { echo, daytime: nist } })).toBe('config reloaded');
    expect(daemon.linesWith('config changes')).toMatchObject([
      {
        added: [`echo tcp://127.0.0.1:${added}`],
        removed: [],
        kept: 3,
        changed: expect.arrayContaining([
          '~ workers: 2 → 3',
          '~ services.echo.idleTimeout: "5m" → "60s"',
          '~ services.daytime.format: "iso8601" → "nist"',
        ]) as string[],
      },
    ]);

    await says({ host: '127.0.0.1', port: added }, 'the new address');
    await says({ host: '127.0.0.1', port }, 'the old address');
    const asked = await UdpClient.open('127.0.0.1');
    expect((await asked.ask('over UDP', { host: '127.0.0.1', port })).toString()).toBe('over UDP');
    // The system chose this port at the start.
    const clock = await TcpClient.connect(daemon.target('daytime', 'tcp'));
    expect((await clock.takeAll()).toString()).toMatch(/UTC\(smallservd\)/);

    client.write(', after');
    expect((await client.take(13)).toString()).toBe('before, after');
    client.finish();
    await client.gone();
    await until(() => old.every(({ pid }) => !isRunning(pid)), 'the end of the old workers');
    expect((await daemon.workers()).map(({ worker }) => worker)).toEqual([3, 4, 5]);
    expect(await daemon.stop()).toBe(0);
  });

  it('closes listeners that the new config removes', async () => {
    const [kept, gone] = [await freePort(), await freePort()];
    const reloadable = await Reloadable.serve(echoOn([kept, gone]));
    expect(await reloadable.reload(echoOn([kept]))).toBe('config reloaded');
    await until(() => reloadable.daemon.linesWith('config reloaded').length === 1, 'the reload');
    await refused(gone);
    await says({ host: '127.0.0.1', port: kept }, 'still here');
    // And has it again.
    expect(await reloadable.reload(echoOn([kept, gone]))).toBe('config reloaded');
    await says({ host: '127.0.0.1', port: gone }, 'again');
  });

  it('disconnects clients of the old config after reload.grace', async () => {
    const port = await freePort();
    const config = {
      workers: 2,
      reload: { grace: '200ms' },
      services: { echo: { listen: [`tcp://127.0.0.1:${port}`] } },
    };
    const reloadable = await Reloadable.serve(config);
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    client.write('one');
    await client.take(3);
    expect(await reloadable.reload(config)).toBe('config reloaded');
    await client.cut();
    expect(await reloadable.daemon.line('closed')).toMatchObject({ reason: 'shutdown' });
    await says({ host: '127.0.0.1', port }, 'the new one');
  });

  it('logs an old worker that dies before its clients finish', async () => {
    const config = { workers: 1, services: { echo: await echoSomewhere() } };
    const reloadable = await Reloadable.serve(config);
    const { daemon } = reloadable;
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.write('one');
    await client.take(3);
    const [old] = await daemon.workers();
    expect(await reloadable.reload(config)).toBe('config reloaded');
    process.kill(old?.pid ?? 0, 'SIGKILL');
    const died = await daemon.line('worker exited before its clients finished');
    expect(died).toMatchObject({ level: 'error', worker: 1, pid: old?.pid, signal: 'SIGKILL' });
    await client.cut();
    expect(await daemon.stop()).toBe(0);
    expect(daemon.linesWith('worker exited before its clients finished')).toHaveLength(1);
  });

  it('keeps a UDP port chosen by the system', async () => {
    const config = { workers: 2, services: { echo: { listen: ['udp://127.0.0.1:0'] } } };
    const reloadable = await Reloadable.serve(config);
    const client = await UdpClient.open('127.0.0.1');
    const target = reloadable.daemon.target('echo', 'udp');
    for (const text of ['one', 'two', 'three']) {
      expect(await reloadable.reload(config)).toBe('config reloaded');
      const before = client.replies.length;
      // For a moment nobody has the socket: the old worker closes it, then the new one opens it.
      const asking = setInterval(() => client.send(text, target), 5);
      await until(() => client.replies.slice(before).some(({ bytes }) => bytes.toString() === text), 'an answer');
      clearInterval(asking);
    }
  });

  it('keeps the counters', async () => {
    const port = await freePort();
    const finger = { listen: [`tcp://127.0.0.1:${await freePort()}`] };
    const config = { workers: 2, services: { echo: { listen: [`tcp://127.0.0.1:${port}`] }, finger } };
    const reloadable = await Reloadable.serve(config);
    for (const text of ['one', 'two']) {
      await says({ host: '127.0.0.1', port }, text);
      const asking = await TcpClient.connect(reloadable.daemon.target('finger', 'tcp'));
      asking.write('ada@example.com\r\n');
      expect((await asking.takeAll()).toString()).toBe('Finger forwarding service denied\r\n');
      expect(await reloadable.reload(config)).toBe('config reloaded');
    }
    const counted = async (): Promise<readonly unknown[]> => {
      const { counters } = await reloadable.daemon.state();
      return [counters['echo']?.stream.accepted, counters['finger']?.custom['forwarding_queries']?.count];
    };
    while ((await counted()).join() !== '2,2');
  });

  it('neither refuses nor loses a client in ten reloads under load', async () => {
    const port = await freePort();
    const listen = [`tcp://127.0.0.1:${port}`];
    const config = (idle: number): object => ({
      workers: 2,
      log: { connections: 'off' },
      services: { echo: { listen, idleTimeout: `${idle}s` } },
    });
    const reloadable = await Reloadable.serve(config(60));
    const load = new Load({ host: '127.0.0.1', port });
    for (let turn = 1; turn <= 10; turn += 1) {
      const before = load.answered;
      expect(await reloadable.reload(config(60 + turn))).toBe('config reloaded');
      await until(() => load.answered > before + 100, '100 answers more');
    }
    await load.stop();
    expect(load).toMatchObject({ refused: 0, failed: 0 });
    expect(reloadable.daemon.linesWith('config reloaded')).toHaveLength(10);
  }, 60_000);
});

/**
 * What is wrong with a config, that config (`IN_USE` stands for a taken port, `OLD` for that of echo), and what the log
 * says of it.
 */
const wrongConfigs: readonly (readonly [what: string, change: (echo: object) => object | string, error: RegExp])[] = [
  [
    'a wrong value',
    (echo) => ({ services: { echo: { ...echo, idleTimeout: 5 } } }),
    /yaml:1:\d+ services\.echo\.idleTimeout: 5 is not a duration/,
  ],
  ['no YAML at all', () => 'services: [', /yaml:1:\d+[: ]/],
  [
    'an address in use',
    (echo) => ({ services: { echo, time: { listen: ['tcp://127.0.0.1:IN_USE'] } } }),
    /time: cannot listen on tcp:\S+ the address is in use/,
  ],
  [
    'another log file',
    (echo) => ({ log: { file: 'other.log' }, services: { echo } }),
    /needs a restart: log\.file from null to/,
  ],
  [
    'other names of the admin endpoint',
    (echo) => ({ admin: { hosts: ['admin.example'] }, services: { echo } }),
    /needs a restart: admin\.hosts from \[\] to \[admin\.example\]/,
  ],
  ['no workers', (echo) => ({ workers: 0, services: { echo } }), /needs a restart: workers from 2 to 0/],
  ['an unknown user', (echo) => ({ user: 'nobody-of-that-name', services: { echo } }), /user|only root/],
];

describe('a failed reload', () => {
  it('changes nothing, logs the cause and does not prevent a later reload', async () => {
    const echo = await echoSomewhere();
    const [address = ''] = echo.listen;
    const port = Number(address.split(':').at(-1));
    const blocker = await fakeTcpServer((socket) => void socket.end());
    const config = { workers: 2, services: { echo } };
    const reloadable = await Reloadable.serve(config);
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    const workers = (await reloadable.daemon.workers()).map(({ pid }) => pid);
    for (const [index, [what, change, error]] of wrongConfigs.entries()) {
      const next = change(echo);
      const text = (typeof next === 'string' ? next : JSON.stringify({ workers: 2, ...next }))
        .replace('IN_USE', String(blocker.port))
        .replace('OLD', String(port));
      expect(await reloadable.reload(text), what).toBe(failed);
      expect(String(reloadable.daemon.linesWith(failed).at(-1)?.['errors']), what).toMatch(error);
      expect(
        (await reloadable.daemon.workers()).map(({ pid }) => pid),
        what,
      ).toEqual(workers);
      client.write('one');
      await client.take(3 * (index + 1));
      await says({ host: '127.0.0.1', port }, 'a new client');
    }
    expect(await reloadable.reload(config)).toBe('config reloaded');
  }, 60_000);

  it('of a single address to all interfaces and back serves clients of both', async () => {
    const port = await freePort();
    const listenOn = (host: string): object => ({
      workers: 2,
      services: { echo: { listen: [`tcp4://${host}:${port}`, `udp4://${host}:${port}`] } },
    });
    const reloadable = await Reloadable.serve(listenOn('127.0.0.1'));
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    for (const [host, address] of [
      ['*', '127.0.0.2'],
      ['127.0.0.1', '127.0.0.1'],
    ] as const) {
      expect(await reloadable.reload(listenOn(host))).toBe('config reloaded');
      await says({ host: address, port }, 'new');
      expect(String(await (await UdpClient.open(address)).ask('new', { host: address, port }))).toBe('new');
      client.write('old');
      await client.take(host === '*' ? 3 : 6);
    }
  });

  it('keeps an inherited descriptor, so that a later reload can have it', async () => {
    const service = await echoSomewhere();
    const config = (listen: readonly string[], more: object = {}): object => ({
      workers: 2,
      services: { echo: { listen: [...service.listen, ...listen] }, ...more },
    });
    const file = writeConfig(config([]));
    const launch = [process.execPath, '-e', withDescriptor, '--', join(root, 'dist/smallservd.js')] as const;
    const reloadable = await Reloadable.of(DaemonProcess.spawn(['--config', file], { command: launch }), file);
    const elsewhere = { time: { listen: [`tcp://127.0.0.1:${await takeTcpPort()}`] } };
    expect(await reloadable.reload(config(['fd://3'], elsewhere))).toBe(failed);
    for (const listen of [['fd://3'], [], ['fd://3']])
      expect(await reloadable.reload(config(listen))).toBe('config reloaded');
    const [, inherited, again] = reloadable.daemon.linesWith('listening').map(({ address }) => address);
    expect([inherited, again]).toEqual([expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:/) as string, inherited]);
  });

  it('can be repeated after the module is fixed and has a new option', async () => {
    const service = await echoSomewhere();
    const module = `${temporaryDirectory()}/mine.js`;
    const file = writeConfig({ workers: 2, services: { echo: service } });
    // Whether the supervisor is root must make no difference.
    const daemon = DaemonProcess.spawn(['--config', file], unprivileged());
    const reloadable = await Reloadable.of(daemon, file);
    const port = await freePort();
    const mine = { module, listen: [`tcp://127.0.0.1:${port}`], options: { text: 'mended' } };
    const next = { workers: 2, services: { echo: service, mine } };
    const write = (code: string): void => {
      writeFileSync(module, code);
      chmodSync(module, 0o644);
    };
    write('throw new Error("not yet");');
    expect(await reloadable.reload(next)).toBe(failed);
    expect(String(daemon.linesWith(failed)[0]?.['errors'])).toMatch(
      /services\.mine\.module: .* the import failed: .*not yet/,
    );
    const create = 'create: ({ text }) => ({ stream: (client) => client.end(Buffer.from(text)) })';
    write(
      `export default { name: "mine", summary: "", options: { text: { format: "string", default: "", doc: "" } }, ${create} };`,
    );
    expect(await reloadable.reload(next)).toBe('config reloaded');
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    expect((await client.takeAll()).toString()).toBe('mended');
  });

  it('is reported when a module makes a new worker exit', async () => {
    const service = await echoSomewhere();
    const module = `${temporaryDirectory()}/mine.js`;
    writeFileSync(module, 'export default { name: "mine", summary: "", options: {}, create() { process.exit(9); } };');
    chmodSync(module, 0o644);
    const reloadable = await Reloadable.serve({ workers: 2, services: { echo: service } });
    const mine = { module, listen: [`tcp://127.0.0.1:${await freePort()}`] };
    expect(await reloadable.reload({ workers: 2, services: { echo: service, mine } })).toBe(failed);
    const [line] = reloadable.daemon.linesWith(failed);
    expect(line?.['errors']).toEqual(['a worker with the new config exited before it was ready (exit code 9)']);
    expect(await reloadable.reload({ workers: 2, services: { echo: service } })).toBe('config reloaded');
  });

  it('is logged for a daemon without workers', async () => {
    const daemon = await DaemonProcess.serve({
      workers: 0,
      ...(process.geteuid?.() === 0 && { user: 'root' }),
      services: { echo: await echoSomewhere() },
    });
    daemon.signal('SIGHUP');
    expect(await daemon.line(failed)).toMatchObject({
      errors: ['a daemon without workers cannot reload: restart it'],
    });
    expect(await daemon.stop()).toBe(0);
  });
});

describe('SIGHUP during startup or shutdown', () => {
  it('reloads a starting daemon once it is ready', async () => {
    const config = { workers: 2, services: { echo: await echoSomewhere() } };
    const daemon = DaemonProcess.spawn(['--config', writeConfig(config)]);
    await daemon.line('starting');
    daemon.signal('SIGHUP');
    await daemon.line('config reloaded');
    const said = daemon.lines.map(({ msg }) => msg).filter((msg) => /^(ready|reloading|config reloaded)$/.test(msg));
    expect(said).toEqual(['ready', 'reloading', 'config reloaded']);
  });

  it('fails while the daemon stops', async () => {
    const config = { workers: 2, shutdown: { grace: '60s' }, services: { echo: await echoSomewhere() } };
    const { daemon } = await Reloadable.serve(config);
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.write('one');
    await client.take(3);
    daemon.signal('SIGTERM');
    daemon.signal('SIGHUP');
    expect(await daemon.line(failed)).toMatchObject({ code: 'RELOAD_CUT_SHORT', errors: ['the daemon is stopping'] });
    client.finish();
    expect(await daemon.closed()).toBe(0);
    expect(daemon.linesWith('config reloaded')).toEqual([]);
  });
});

describe('a shutdown', () => {
  it.each([0, 30, 60, 120, 200, 300])(
    '%d ms after SIGHUP stops the daemon with its old and new workers',
    async (afterMs) => {
      const config = { workers: 2, shutdown: { grace: '60s' }, services: { echo: { listen: ['tcp://127.0.0.1:0'] } } };
      const { daemon } = await Reloadable.serve(config);
      daemon.signal('SIGHUP');
      await daemon.line('reloading');
      // Wherever the reload stands by then: each of these must end well.
      await new Promise((resolve) => {
        setTimeout(resolve, afterMs);
      });
      expect(await daemon.stop()).toBe(0);
    },
  );
});

describe('smallservd reload', () => {
  it('waits for the result and exits with 0, or with 78 and the errors', async () => {
    const [port, admin] = [await freePort(), await freePort()];
    const config = (more: object): object => ({
      workers: 2,
      admin: { listen: `tcp://127.0.0.1:${admin}` },
      services: { echo: { listen: [`tcp://127.0.0.1:${port}`], ...more } },
    });
    const reloadable = await Reloadable.serve(config({}));
    reloadable.write(config({ idleTimeout: '1m' }));
    const { file } = reloadable;
    const diff = await runToEnd(['check', '--diff', '--config', file]);
    expect(diff).toMatchObject({ code: 0, stdout: '~ services.echo.idleTimeout: "5m" → "60s"\n', stderr: '' });
    const good = await runToEnd(['reload', '--config', file]);
    expect(good).toMatchObject({ code: 0, stderr: '' });
    expect(good.stdout).toMatch(/^reloaded \S+smallservd\.yaml \([0-9a-f]{12}\) in \d+ ms\n$/);
    expect(await runToEnd(['check', '--diff', '--config', file])).toMatchObject({
      code: 0,
      stdout: 'no difference from the running config\n',
    });

    reloadable.write(config({ idleTimeout: 'soon' }));
    const bad = await runToEnd(['reload', '--admin', `tcp://127.0.0.1:${admin}`]);
    expect(bad).toMatchObject({ code: 78, stdout: '' });
    expect(bad.stderr).toMatch(
      /^smallservd: reload failed, keeping the running config:\nsmallservd: \S+smallservd\.yaml:1:\d+ services\.echo\.idleTimeout: "soon" is not a duration.*\n$/,
    );
  });

  it.each([
    ['tcp://127.0.0.1:PORT', 'tcp://127.0.0.1:PORT'],
    ['tcp://[::1]:PORT', 'tcp://[::1]:PORT'],
    ['tcp://*:PORT', 'tcp://127.0.0.1:PORT'],
    ['tcp://*:PORT', 'tcp://[::1]:PORT'],
    ['tcp://localhost:PORT', 'tcp://localhost:PORT'],
    ['unix:///DIRECTORY/admin.sock', 'unix:///DIRECTORY/admin.sock'],
    ['unix:///DIRECTORY/admin.sock', 'unix:///DIRECTORY/link/admin.sock'],
  ])('finds a daemon listening on %s through %s', async (listen, admin) => {
    const [port, directory] = [await freePort(), temporaryDirectory()];
    symlinkSync(directory, join(directory, 'link'));
    const placed = (text: string): string => text.replace('PORT', String(port)).replace('/DIRECTORY', directory);
    const daemon = await DaemonProcess.serve({
      workers: 1,
      admin: { listen: placed(listen) },
      services: { echo: await echoSomewhere() },
    });
    expect(await runToEnd(['reload', '--admin', placed(admin)])).toMatchObject({ code: 0, stderr: '' });
    await daemon.line('config reloaded');
  });

  it('signals only the process that holds the listening socket, whatever its name', async () => {
    const victim = await Victim.start();
    await expectNotAsked(victim.pid, 'it does not hold the socket');
    await victim.expectUnharmed();
  });

  it('signals neither another program nor the process that answers', async () => {
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    onTestFinished(() => void other.kill('SIGKILL'));
    for (const pid of [other.pid ?? 0, process.pid, process.ppid, 1]) await expectNotAsked(pid, 'it is not smallservd');
    expect(other.signalCode).toBeNull();
  });

  it('signals the process that the service manager names in MAINPID, and no other', async () => {
    const daemon = await DaemonProcess.serve({ workers: 1, services: { echo: await echoSomewhere() } });
    const env = { MAINPID: String(daemon.pid) };
    const admin = await endpointThatNames(daemon.pid);
    // The signal comes, and what the endpoint says of it is up to the endpoint.
    const command = DaemonProcess.spawn(['reload', '--admin', admin], { env }, false);
    await daemon.line('config reloaded');
    expect(command.exit).toBeUndefined();
    const victim = await Victim.start();
    await expectNotAsked(victim.pid, 'it does not hold the socket', env);
    await victim.expectUnharmed();
  });

  it('does not signal a daemon that listens elsewhere', async () => {
    const admin = { listen: `tcp://127.0.0.1:${await freePort()}` };
    const daemon = await DaemonProcess.serve({ workers: 1, admin, services: { echo: await echoSomewhere() } });
    await expectNotAsked(daemon.pid, 'it does not hold the socket');
    for (const { pid } of await daemon.workers()) await expectNotAsked(pid, 'it is not smallservd');
    // What a signal would have made it say comes before the end.
    expect(await daemon.stop()).toBe(0);
    expect(daemon.linesWith('reloading')).toEqual([]);
  });

  it('rejects the id of an exited process and an invalid id', async () => {
    const gone = spawn('true', { stdio: 'ignore' });
    await once(gone, 'exit');
    await expectNotAsked(gone.pid ?? 0, 'no such process exists here');
    for (const pid of [2 ** 22 + 1, 2 ** 32 + 1, 1.5]) await expectNotAsked(pid, 'that is not a valid process ID');
  });

  it('exits with 78 if the daemon has no workers', async () => {
    const admin = `tcp://127.0.0.1:${await freePort()}`;
    await DaemonProcess.serve({ ...inOneProcess, admin: { listen: admin }, services: { echo: await echoSomewhere() } });
    expect(await runToEnd(['reload', '--admin', admin])).toMatchObject({
      code: 78,
      stderr:
        'smallservd: reload failed, keeping the running config:\nsmallservd: a daemon without workers cannot reload: restart it\n',
    });
  });

  it('exits with 2 if no daemon answers and with 64 if the config has no admin.listen', async () => {
    const admin = `tcp://127.0.0.1:${await freePort()}`;
    expect(await runToEnd(['reload', '--admin', admin])).toMatchObject({
      code: 2,
      stderr: `smallservd: no daemon answers at ${admin}: connection refused\n`,
    });
    const file = writeConfig({ services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
    expect(await runToEnd(['reload', '--config', file])).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/does not set admin\.listen.*--admin/) as string,
    });
  });
});

/** A process of ours that calls itself smallservd, and says when it is told to hang up. */
class Victim {
  readonly #child: ChildProcess;
  #said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
  }

  static async start(): Promise<Victim> {
    const script = join(temporaryDirectory(), 'smallservd.js');
    writeFileSync(
      script,
      `for (const signal of ['SIGHUP', 'SIGUSR2']) process.on(signal, () => console.log(signal));
      console.log('here');
      setInterval(() => {}, 1 << 30);`,
    );
    const victim = new Victim(spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] }));
    onTestFinished(() => void victim.#child.kill('SIGKILL'));
    await until(() => victim.#said === 'here\n', 'the victim');
    return victim;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Signals come in their order: a HUP would have been there first. */
  async expectUnharmed(): Promise<void> {
    this.#child.kill('SIGUSR2');
    await until(() => this.#said.endsWith('SIGUSR2\n'), 'the answer of the victim');
    expect(this.#said).toBe('here\nSIGUSR2\n');
  }
}

/** Where somebody answers as a daemon of this number would. */
async function endpointThatNames(pid: number): Promise<string> {
  const server = createServer((_, response) => {
    response.setHeader('Server', 'smallservd').end(JSON.stringify(snapshot({ pid })));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `tcp://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** Has `reload` ask an endpoint that names this process. */
async function expectNotAsked(pid: number, why: string, env = {}): Promise<void> {
  const admin = await endpointThatNames(pid);
  const { code, stderr } = await runToEnd(['reload', '--admin', admin], { env });
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `smallservd: ${admin} says that it is process ${pid}, which was not signaled: ${why}. reload signals only a smallservd on this machine that listens at that address. If it runs on another machine or in a container, run reload there\n`,
  });
}

function echoOn(ports: readonly number[]): object {
  const listen = ports.flatMap((port) => [`tcp://127.0.0.1:${port}`, `udp://127.0.0.1:${port}`]);
  return { workers: 2, services: { echo: { listen } } };
}

async function echoSomewhere(): Promise<{ readonly listen: readonly string[] }> {
  return { listen: [`tcp://127.0.0.1:${await freePort()}`] };
}

/** Waits until nobody listens on the port any more. */
async function refused(port: number): Promise<void> {
  let last = '';
  await until(() => {
    TcpClient.connect({ host: '127.0.0.1', port }).then(
      (client) => client.socket.destroy(),
      (error: NodeJS.ErrnoException) => {
        last = error.code ?? '';
      },
    );
    return last === 'ECONNREFUSED';
  }, 'a refusal');
}

describe('smallservd reload', () => {
  it('exits as a start with that config would', async () => {
    const echo = await echoSomewhere();
    const admin = { listen: `tcp://127.0.0.1:${await freePort()}` };
    const blocker = await fakeTcpServer((socket) => void socket.end());
    const file = writeConfig({ admin, workers: 1, services: { echo } });
    const daemon = DaemonProcess.spawn(['--config', file]);
    await daemon.line('ready');
    const reloaded = async (config: object): Promise<unknown> => {
      writeFileSync(file, JSON.stringify({ admin, workers: 1, ...config }));
      return (await runToEnd(['reload', '--admin', admin.listen])).code;
    };
    const taken = { listen: [`tcp://127.0.0.1:${blocker.port}`] };
    expect(await reloaded({ services: { echo, time: taken } })).toBe(1);
    expect(await reloaded({ services: { echo, tiem: taken } })).toBe(78);
    expect(await reloaded({ services: { echo } })).toBe(0);
    expect(await daemon.stop()).toBe(0);
  });
});
