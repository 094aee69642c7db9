import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  DaemonProcess,
  fixtures,
  isRunning,
  root,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { TcpClient } from '../support/tcp.ts';
import { until } from '../support/wait.ts';

/** A daemon whose worker hangs at the import of a module, and the worker's id. */
async function hanging(): Promise<{ readonly daemon: DaemonProcess; readonly worker: number }> {
  const hangs = { module: join(fixtures, 'hangs-at-import.js'), listen: ['tcp://127.0.0.1:0'] };
  const daemon = DaemonProcess.spawn(['--config', writeConfig({ ...patient, workers: 1, services: { hangs } })]);
  const { output } = await daemon.line('worker printed a line');
  return { daemon, worker: Number(String(output).replace('hangs now: ', '')) };
}

const services = { echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } };
/** Longer than any deadline of these tests: a daemon that waits for it fails. */
const patient = { workers: 2, shutdown: { grace: '5m' }, services };

describe('SIGKILL', () => {
  it('of the supervisor also ends a hanging worker', async () => {
    const { daemon, worker } = await hanging();
    expect(isRunning(worker)).toBe(true);
    daemon.signal('SIGKILL');
    await until(() => !isRunning(worker), 'the end of the worker');
  });
});

describe('SIGTERM and SIGINT', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'refuse new clients at once and let existing clients finish: %s',
    async (signal) => {
      const daemon = await DaemonProcess.serve(patient);
      const client = await talkingClient(daemon);
      const { name } = client;
      daemon.signal(signal);
      await refused(daemon);
      await finishes(client);
      expect(await daemon.closed()).toBe(0);
      expect(daemon.linesWith('closed').find(({ peer }) => peer === name)).toMatchObject({
        reason: 'completed',
        bytesIn: 10,
        bytesOut: 10,
      });
      expect(daemon.stderr).toBe('');
    },
  );

  it('disconnect clients after shutdown.grace with the reason shutdown', async () => {
    const daemon = await DaemonProcess.serve({ ...patient, shutdown: { grace: '300ms' } });
    const client = await talkingClient(daemon);
    const { name } = client;
    daemon.signal('SIGTERM');
    await client.takeAll();
    expect(await daemon.closed()).toBe(0);
    expect(daemon.linesWith('closed').find(({ peer }) => peer === name)).toMatchObject({ reason: 'shutdown' });
  });

  it.each([2, 0])('say at once whom the daemon waits for, and how long, with %d workers', async (workers) => {
    const daemon = await DaemonProcess.serve({ ...patient, workers, shutdown: { grace: '1h' } });
    await talkingClient(daemon);
    let state = await daemon.state();
    while (state.counters['echo']?.stream.accepted !== 1) state = await daemon.state();
    daemon.signal('SIGTERM');
    expect(await daemon.line('stopping')).toMatchObject({ clients: 1, graceMs: 3_600_000 });
    daemon.signal('SIGQUIT');
    expect(await daemon.closed()).toBe(0);
  });

  it('log the end of every connection before the daemon stops', async () => {
    const daemon = await DaemonProcess.serve({ ...patient, shutdown: { grace: '100ms' } });
    const clients = await Promise.all(Array.from({ length: 40 }, () => talkingClient(daemon)));
    expect(await daemon.stop()).toBe(0);
    expect(daemon.linesWith('closed').filter(({ reason }) => reason === 'shutdown')).toHaveLength(clients.length);
    expect(daemon.lines.at(-1)).toMatchObject({ msg: 'stopped', exitCode: 0 });
  });

  it('disconnect all clients when repeated after more than a second, but not sooner', async () => {
    const daemon = await DaemonProcess.serve(patient);
    const client = await talkingClient(daemon);
    const askedMs = performance.now();
    const again = setInterval(() => {
      if (daemon.exit === undefined) daemon.signal('SIGTERM');
    }, 50);
    daemon.signal('SIGTERM');
    try {
      expect(await daemon.ended()).toBe(0);
    } finally {
      clearInterval(again);
    }
    expect(performance.now() - askedMs).toBeGreaterThan(1000);
    await client.takeAll();
  });

  it('do not wait for a worker that hangs during startup', async () => {
    const { daemon } = await hanging();
    daemon.signal('SIGTERM');
    expect(await daemon.closed()).toBe(0);
  });

  it('let clients finish in one process', async () => {
    const daemon = await DaemonProcess.serve({ ...patient, workers: 0 });
    const client = await talkingClient(daemon);
    daemon.signal('SIGTERM');
    await refused(daemon);
    await finishes(client);
    expect(await daemon.closed()).toBe(0);
  });

  it('let clients finish when sent to the whole process group, as systemd and terminals do', async () => {
    const daemon = await DaemonProcess.serve(patient);
    const client = await talkingClient(daemon);
    daemon.signalGroup('SIGTERM');
    await refused(daemon);
    await finishes(client);
    expect(await daemon.closed()).toBe(0);
    expect(daemon.linesWith('worker exited, restarting')).toEqual([]);
  });
});

describe('SIGQUIT', () => {
  it.each([{ workers: 2 }, { workers: 0 }])(
    'disconnects all clients at once with $workers workers',
    async ({ workers }) => {
      const daemon = await DaemonProcess.serve({ ...patient, workers });
      const client = await talkingClient(daemon);
      daemon.signal('SIGQUIT');
      expect(await daemon.closed()).toBe(0);
      await client.takeAll();
    },
  );
});

describe('under npm start', () => {
  it('SIGTERM to npm lets clients finish', async () => {
    const daemon = await serveUnderNpm();
    const client = await talkingClient(daemon);
    daemon.signal('SIGTERM');
    await refused(daemon);
    await finishes(client);
    await daemon.line('stopped', { exitCode: 0 });
    expect(await daemon.ended()).toBe(0);
  });

  it('Ctrl-C, which reaches the daemon twice, lets clients finish', async () => {
    const daemon = await serveUnderNpm();
    const client = await talkingClient(daemon);
    daemon.signalGroup('SIGINT');
    await refused(daemon);
    await finishes(client);
    await daemon.line('stopped', { exitCode: 0 });
    await daemon.ended();
  });
});

describe('SIGUSR2', () => {
  it('logs listeners, workers and counters', async () => {
    const daemon = await DaemonProcess.serve(patient);
    await talkingClient(daemon);
    // Counters come with the workers' heartbeats, once a second.
    let state = await daemon.state();
    while (state.counters['echo']?.stream.accepted !== 1) state = await daemon.state();
    expect(state.counters['echo']).toMatchObject({ stream: { accepted: 1, active: 1 }, datagram: { received: 0 } });
    const { port } = daemon.target('echo', 'tcp');
    expect(state.listeners).toContainEqual({ service: 'echo', address: `tcp://127.0.0.1:${port}`, isOpen: true });
    expect(state.workers).toMatchObject([
      { worker: 1, status: 'ready' },
      { worker: 2, status: 'ready' },
    ]);
  });

  it('logs them in one process', async () => {
    const daemon = await DaemonProcess.serve({ ...patient, workers: 0 });
    await talkingClient(daemon);
    const { counters, workers } = await daemon.state();
    expect(counters['echo']).toMatchObject({ stream: { accepted: 1 } });
    expect(workers).toMatchObject([{ worker: 0, status: 'ready' }]);
  });
});

describe('SIGHUP', () => {
  it('opens a new log file after the old file was renamed', async () => {
    const directory = temporaryDirectory(0o755);
    const file = join(directory, 'smallservd.log');
    const config = writeConfig({ ...patient, log: { file } });
    const daemon = DaemonProcess.spawn(['--config', config]);
    await until(() => textOf(file).includes('"msg":"ready"'), 'the log file');
    renameSync(file, `${file}.1`);
    daemon.signal('SIGHUP');
    await until(() => textOf(file).includes('log file reopened'), 'the new log file');
    expect(await daemon.stop()).toBe(0);
    expect(textOf(file)).toContain('"msg":"stopped"');
    expect(textOf(`${file}.1`)).toContain('"msg":"ready"');
    expect(textOf(`${file}.1`)).not.toContain('"msg":"stopped"');
    expect(daemon.stdout).toBe('');
  });

  it('keeps the daemon serving if the log is standard output', async () => {
    const daemon = await DaemonProcess.serve(patient);
    daemon.signal('SIGHUP');
    expect(await daemon.workers()).toHaveLength(2);
    expect(await daemon.stop()).toBe(0);
  });
});

/** An echo client that has had an answer. */
async function talkingClient(daemon: DaemonProcess): Promise<TcpClient> {
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  client.write('hello');
  await client.take(5);
  return client;
}

/** Goes on talking, then ends as clients do. */
async function finishes(client: TcpClient): Promise<void> {
  client.write('still');
  await client.take(10);
  client.finish();
  expect((await client.takeAll()).toString()).toBe('hellostill');
  await client.gone();
  expect(client.error).toBeUndefined();
}

/** Waits until a new client is refused. */
async function refused(daemon: DaemonProcess): Promise<void> {
  const target = daemon.target('echo', 'tcp');
  const endMs = performance.now() + 10_000;
  for (;;) {
    const error = await TcpClient.connect(target).then(
      (client) => client.socket.destroy().errored,
      (cause: NodeJS.ErrnoException) => cause,
    );
    if (error !== null && 'code' in error && error.code === 'ECONNREFUSED') return;
    if (performance.now() > endMs) throw new Error('new clients are still taken 10 s after the signal');
  }
}

async function serveUnderNpm(): Promise<DaemonProcess> {
  const npm = process.env['npm_execpath'];
  const command: readonly [string, ...string[]] =
    npm === undefined ? ['npm', 'start', '--silent', '--'] : [process.execPath, npm, 'start', '--silent', '--'];
  const daemon = DaemonProcess.spawn(['--config', writeConfig(patient)], { command, cwd: root });
  await daemon.line('ready');
  return daemon;
}

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
