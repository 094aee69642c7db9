import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EventValues, PageEventName } from '../../src/server/admin/live.ts';
import type { Snapshot } from '../../src/server/admin/snapshot.ts';
import {
  DaemonProcess,
  inOneProcess,
  type ProcessOptions,
  root,
  runToEnd,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until, within } from '../support/wait.ts';

const echo = { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] };
const isRoot = process.geteuid?.() === 0;

type Where = { readonly port: number } | { readonly socketPath: string };

async function get(where: Where, path: string): Promise<{ status: number | undefined; body: string }> {
  const asked = request({ host: '127.0.0.1', ...where, path, agent: false }).end();
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
  let body = '';
  for await (const part of response.setEncoding('utf8')) body += String(part);
  return { status: response.statusCode, body };
}

async function statusOf(where: Where): Promise<Snapshot> {
  return JSON.parse((await get(where, '/status')).body) as Snapshot;
}

/** Asks until the daemon says so. */
async function untilStatus(where: Where, holds: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
  const endMs = performance.now() + 10_000;
  for (;;) {
    const snapshot = await statusOf(where);
    if (holds(snapshot)) return snapshot;
    if (performance.now() > endMs) throw new Error(`never seen; last: ${JSON.stringify(snapshot)}`);
  }
}

async function metric(where: Where, sample: string): Promise<number> {
  const { body } = await get(where, '/metrics');
  const line = body.split('\n').find((each) => each.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1) ?? Number.NaN);
}

describe.each([
  ['with workers', { workers: 2 }],
  ['in one process', inOneProcess],
])('the admin endpoint %s', (_, processes) => {
  it('reports the state of the daemon and never runs as root', async () => {
    const port = await freePort();
    const admin = { listen: `tcp://127.0.0.1:${port}` };
    const user = isRoot ? { user: 'nobody' } : {};
    const daemon = await DaemonProcess.serve({ ...processes, ...user, admin, services: { echo } });
    const where = { port };
    expect(await get(where, '/livez')).toEqual({ status: 200, body: 'ok\n' });
    expect(await get(where, '/readyz')).toEqual({ status: 200, body: 'ok\n' });

    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.write('hello');
    await client.take(5);
    const asking = await UdpClient.open('127.0.0.1');
    await asking.ask('over UDP', daemon.target('echo', 'udp'));
    const snapshot = await untilStatus(
      where,
      ({ services: { echo: of } }) => of?.stream.active === 1 && of.datagram.sent === 1 && of.topSources.length > 0,
    );
    expect(snapshot).toMatchObject({
      pid: daemon.pid,
      state: 'ready',
      notReady: [],
      services: { echo: { type: 'echo', topSources: [{ source: '127.0.0.1', connections: 1 }] } },
      listeners: [{ isOpen: true }, { isOpen: true }],
      lostLogLines: 0,
    });
    expect(snapshot.supervisor.residentBytes).toBeGreaterThan(2 ** 20);
    expect(await metric(where, 'smallservd_connections{service="echo"}')).toBe(1);
    expect(await metric(where, 'smallservd_datagrams_sent_total{service="echo"}')).toBe(1);
    expect(JSON.parse((await get(where, '/config')).body)).toMatchObject({ admin, services: { echo } });
    if (isRoot) expect(uidOf(adminProcess(daemon))).not.toBe(0);
  });
});

/** The events that an open page gets. */
class OpenPage {
  /** The last value of each event, by its name. */
  readonly values = new Map<string, unknown>();
  #changed: () => void = () => {};

  static async open(where: Where): Promise<OpenPage> {
    const asked = request({ host: '127.0.0.1', ...where, path: '/events', agent: false }).end();
    onTestFinished(() => void asked.destroy());
    const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
    const page = new OpenPage();
    let text = '';
    response.on('error', () => {});
    response.setEncoding('utf8').on('data', (part: string) => {
      const events = (text + part).split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) page.#read(event);
      page.#changed();
    });
    return page;
  }

  /** Waits until it has been told that. */
  async told<Name extends PageEventName>(
    name: Name,
    holds: (value: EventValues[Name]) => boolean,
  ): Promise<EventValues[Name]> {
    const what = new Promise<EventValues[Name]>((resolve) => {
      this.#changed = () => {
        const value = this.values.get(name) as EventValues[Name] | undefined;
        if (value !== undefined && holds(value)) resolve(value);
      };
      this.#changed();
    });
    return within(what, `the event ${name}`);
  }

  #read(event: string): void {
    const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
    this.values.set(name, JSON.parse(data));
  }
}

describe.each([
  ['with workers', { workers: 2 }],
  ['in one process', inOneProcess],
])('an open page %s', (_, processes) => {
  it('is told what happens', async () => {
    const port = await freePort();
    const config = writeConfig({
      ...processes,
      admin: { listen: `tcp://127.0.0.1:${port}` },
      services: { echo: { ...echo, faults: { delay: { time: '1ms' } } } },
    });
    const daemon = DaemonProcess.spawn(['--config', config]);
    await daemon.line('ready');
    const page = await OpenPage.open({ port });
    expect(await page.told('past', () => true)).toHaveProperty('minutes.times', []);
    expect(await page.told('faults', () => true)).toMatchObject({ echo: { delay: { timeMs: 1 } } });
    expect(await page.told('log', () => true)).toContainEqual(
      expect.objectContaining({ level: 'warn', message: 'faults enabled, service misbehaves on purpose' }),
    );
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.write('hello');
    await client.take(5);
    const status = await page.told('status', ({ services }) => services['echo']?.stream.bytesOut === 5);
    expect(status).toMatchObject({
      pid: daemon.pid,
      workers: [{ restarts: 0, status: 'ready' }, ...status.workers.slice(1)],
    });
    expect([true, false, null]).toContain(status.clock.isSynchronized);
    expect(status.workers[0]?.health?.upMs).toBeGreaterThan(0);
    await page.told('points', ({ second }) => second?.values['clients'] === 1);

    daemon.signal('SIGHUP');
    const [reload] = await page.told('reloads', (reloads) => reloads.length > 0);
    expect(reload?.error ?? null).toBe(
      processes === inOneProcess ? 'a daemon without workers cannot reload: restart it' : null,
    );
    // Whoever comes later sees what has been.
    const late = await (await OpenPage.open({ port })).told('past', () => true);
    expect(Math.max(...(late.seconds.values['clients'] ?? []).map(Number))).toBe(1);
  });
});

describe('status', () => {
  it('exits with 0 if the daemon is ready and with 2 if none runs, in text and JSON', async () => {
    const port = await freePort();
    const config = writeConfig({ workers: 2, admin: { listen: `tcp://127.0.0.1:${port}` }, services: { echo } });
    const nobody = await runToEnd(['status', '--config', config]);
    expect(nobody).toMatchObject({ code: 2, stdout: '' });
    expect(nobody.stderr).toBe(`smallservd: no daemon answers at tcp://127.0.0.1:${port}: connection refused\n`);

    const daemon = DaemonProcess.spawn(['--config', config]);
    await daemon.line('ready');
    const shown = await runToEnd(['status', '--config', config]);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toContain(`process ${daemon.pid}, `);
    expect(shown.stdout).toMatch(/: ready\n/);
    expect(shown.stdout).toMatch(/^echo +0 +0 +0 +0 +0$/m);
    expect(shown.stdout).toMatch(/^echo +tcp:\/\/127\.0\.0\.1:\d+ udp:\/\/127\.0\.0\.1:\d+$/m);
    const json = await runToEnd(['status', '--json', '--admin', `tcp://127.0.0.1:${port}`]);
    expect(JSON.parse(json.stdout)).toMatchObject({ pid: daemon.pid });
  });

  it('exits with 1 while a listener is down', async () => {
    const port = await freePort();
    const admin = { listen: `tcp://127.0.0.1:${port}` };
    const daemon = await DaemonProcess.serve({ workers: 2, admin, services: { echo } });
    for (const { pid } of await daemon.workers()) process.kill(pid, 'SIGKILL');
    const snapshot = await untilStatus({ port }, ({ notReady }) => notReady.length > 0);
    expect(snapshot.notReady).toContainEqual(expect.stringMatching(/^echo tcp:\/\/127\.0\.0\.1:\d+ is not open$/));
    const back = await untilStatus({ port }, ({ notReady }) => notReady.length === 0);
    expect(back.workerDeaths).toBe(2);
    expect(back.workers.map(({ restarts }) => restarts)).toEqual([1, 1]);
  });

  it('reports a draining daemon as not ready', async () => {
    const port = await freePort();
    const admin = { listen: `tcp://127.0.0.1:${port}` };
    const daemon = await DaemonProcess.serve({ workers: 2, shutdown: { grace: '60s' }, admin, services: { echo } });
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.write('hello');
    await client.take(5);
    daemon.signal('SIGTERM');
    await untilStatus({ port }, ({ state }) => state === 'draining');
    expect(await get({ port }, '/readyz')).toEqual({ status: 503, body: 'not ready: draining\n' });
    expect(await get({ port }, '/livez')).toMatchObject({ status: 200 });
    expect(await runToEnd(['status', '--admin', admin.listen])).toMatchObject({ code: 1 });
    client.finish();
    expect(await daemon.closed()).toBe(0);
  });
});

describe('the admin endpoint', () => {
  it('takes over the UNIX socket left by a killed daemon', async () => {
    const socketPath = join(temporaryDirectory(), 'admin.sock');
    const config = { workers: 2, admin: { listen: `unix://${socketPath}` }, services: { echo } };
    const killed = await DaemonProcess.serve(config);
    killed.signalGroup('SIGKILL');
    await killed.ended();
    const daemon = await DaemonProcess.serve(config);
    expect(await statusOf({ socketPath })).toMatchObject({ pid: daemon.pid });
    expect(await runToEnd(['status', '--admin', `unix://${socketPath}`])).toMatchObject({ code: 0 });
  });

  it('fails the start and is named if its port is in use', async () => {
    const port = await freePort();
    const admin = { listen: `tcp://127.0.0.1:${port}` };
    await DaemonProcess.serve({ workers: 2, admin, services: { echo } });
    const second = await runToEnd(['--config', writeConfig({ workers: 2, admin, services: { echo } })]);
    expect(second.code).toBe(1);
    expect(second.stderr).toBe(
      `smallservd: admin: cannot listen on ${admin.listen}: the address is in use by another program\n`,
    );
  });

  it.each(['udp://127.0.0.1:9013', '127.0.0.1:9013', 'http://127.0.0.1:9013', 9013])(
    'rejects the address %s',
    async (listen) => {
      const { code, stderr } = await runToEnd([
        'check',
        '--config',
        writeConfig({ admin: { listen }, services: { echo } }),
      ]);
      expect(code).toBe(78);
      expect(stderr).toMatch(
        /admin\.listen: .* is not a TCP address, a UNIX socket or an inherited socket, such as tcp:/,
      );
    },
  );

  it.runIf(isRoot).each([
    ['port', async () => ({ port: await freePort() })],
    ['UNIX socket', async () => ({ socketPath: join(temporaryDirectory(), 'admin.sock') })],
  ] satisfies [string, () => Promise<Where>][])(
    'is restarted under root after its process dies: %s',
    async (_, free) => {
      const where: Where = await free();
      const listen = 'port' in where ? `tcp://127.0.0.1:${where.port}` : `unix://${where.socketPath}`;
      const daemon = await DaemonProcess.serve({ workers: 2, admin: { listen }, services: { echo } });
      const pid = adminProcess(daemon);
      expect(pid).not.toBe(daemon.pid);
      process.kill(pid, 'SIGKILL');
      await daemon.line('admin process exited, restarting');
      const endMs = performance.now() + 10_000;
      while ((await get(where, '/livez').catch(() => undefined))?.status !== 200)
        expect(performance.now()).toBeLessThan(endMs);
      expect(await daemon.stop()).toBe(0);
      if ('socketPath' in where) await until(() => !existsSync(where.socketPath), 'the end of the socket');
    },
  );

  it.runIf(isRoot)('is restarted under root after its process hangs', async () => {
    const admin = { listen: `tcp://127.0.0.1:${await freePort()}` };
    const daemon = await DaemonProcess.serve({ workers: 1, admin, services: { echo } });
    process.kill(adminProcess(daemon), 'SIGSTOP');
    await daemon.line('admin process unresponsive, killing it');
    await daemon.line('admin process exited, restarting', { signal: 'SIGKILL' });
  });

  it.runIf(isRoot)('returns 503 under root while the supervisor hangs', async () => {
    const port = await freePort();
    const admin = { listen: `tcp://127.0.0.1:${port}` };
    const daemon = await DaemonProcess.serve({ workers: 2, admin, services: { echo } });
    daemon.signal('SIGSTOP');
    expect(await get({ port }, '/livez')).toEqual({ status: 503, body: 'no answer from the supervisor\n' });
  });
});

/** Starts the daemon with a socket that listens on port PORT as descriptor 3. */
const withDescriptor = `
const server = require('node:net').createServer().listen(PORT, '127.0.0.1', () => {
  const stdio = ['ignore', 'inherit', 'inherit', server._handle.fd];
  const daemon = require('node:child_process').spawn(process.execPath, process.argv.slice(1), { stdio });
  // The daemon has its own copy, and alone accepts.
  server.close();
  process.on('SIGTERM', () => daemon.kill('SIGTERM'));
  daemon.on('exit', (code) => process.exit(code ?? 1));
});`;

/** Ways to listen: the address in the config, where that is, and how the daemon is started. */
const places: readonly (readonly [
  string,
  () => Promise<{ listen: string; where: Where; options?: ProcessOptions }>,
])[] = [
  [
    'TCP',
    async () => {
      const port = await freePort();
      return { listen: `tcp://127.0.0.1:${port}`, where: { port } };
    },
  ],
  [
    'UNIX',
    async () => {
      const socketPath = join(temporaryDirectory(), 'admin.sock');
      return { listen: `unix://${socketPath}`, where: { socketPath } };
    },
  ],
  [
    'inherited',
    async () => {
      const port = await freePort();
      const launcher = withDescriptor.replace('PORT', String(port));
      const command = [process.execPath, '-e', launcher, '--', join(root, 'dist/smallservd.js')] as const;
      return { listen: 'fd://3', where: { port }, options: { command: [...command] } };
    },
  ],
];

describe.each(places)('the admin endpoint on a socket of type %s', (_, place) => {
  it('keeps answering despite idle connections and malformed requests', async () => {
    const { listen, where, options } = await place();
    await DaemonProcess.serve({ workers: 2, admin: { listen }, services: { echo } }, options);
    const target = 'port' in where ? { host: '127.0.0.1', port: where.port } : { path: where.socketPath };
    for (const [count, said] of [
      [24, ''],
      [240, ''],
      [24, 'GET /livez HTTP/1.1\r\nHo'],
    ] as const) {
      for (let each = 0; each < count; each += 1) (await TcpClient.connect(target)).write(said);
      expect(await get(where, '/livez')).toEqual({ status: 200, body: 'ok\n' });
    }
    for (const [status, bytes] of [
      [400, 'GET /livez HTTP/1.1\r\n\r\n'],
      [431, `GET /${'x'.repeat(2 ** 20)}`],
    ] as const) {
      const client = await TcpClient.connect(target);
      client.write(bytes);
      expect((await client.takeAll()).toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
    const late = await TcpClient.connect(target);
    late.write('GET /livez HTTP/1.1\r\nHo');
    expect((await late.takeAll()).toString()).toMatch(/^HTTP\/1\.1 408 /);
  });
});

/** The process that serves the endpoint: a child of the daemon, or the daemon itself. */
function adminProcess(daemon: DaemonProcess): number {
  const children = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').split(' ').filter(Boolean);
  const child = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('admin/child.js'));
  return Number(child ?? daemon.pid);
}

function uidOf(pid: number): number {
  return Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

describe.each([2, 0])('who is turned away, with %d workers', (workers) => {
  it('is named by status and by the summary, within ten seconds', async () => {
    const port = await freePort();
    const own = await freePort();
    const daemon = DaemonProcess.spawn([
      '--config',
      writeConfig({
        workers,
        admin: { listen: `tcp://127.0.0.1:${port}` },
        services: {
          echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'], deny: ['127.0.0.3/32'] },
          other: { type: 'echo', listen: [`udp://127.0.0.1:${own}`] },
        },
      }),
    ]);
    await daemon.line('ready');
    // A source port that we serve ourselves, from another address.
    const client = await UdpClient.open('127.0.0.2', { port: own });
    client.send('x', daemon.target('echo', 'udp'));
    (await TcpClient.connect({ ...daemon.target('echo', 'tcp'), localAddress: '127.0.0.3' })).finish();
    const named = async (): Promise<string> =>
      (await runToEnd(['status', '--admin', `tcp://127.0.0.1:${port}`])).stdout;
    let status = await named();
    while (!/dropped: source-port/.test(status) || !/refused: denied/.test(status)) status = await named();
    expect(status).toMatch(new RegExp(`^echo +dropped: source-port +\\d+ +port ${own}$`, 'm'));
    expect(status).toMatch(/^echo +refused: denied +\d+ +127\.0\.0\.3$/m);
    expect(await daemon.stop()).toBe(0);
    const summaries = daemon.linesWith('clients refused or datagrams dropped');
    expect(summaries).toContainEqual(
      expect.objectContaining({ service: 'echo', droppedMostly: { 'source-port': `port ${own}` } }),
    );
    expect(summaries).toContainEqual(expect.objectContaining({ refusedMostly: { denied: '127.0.0.3' } }));
  });
});
