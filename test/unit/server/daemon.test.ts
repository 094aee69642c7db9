import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ConfigInvalidError, type RunningListener, startDaemon } from '../../../src/index.ts';
import { hasIpv6, serve } from '../../support/daemon.ts';
import { TcpClient } from '../../support/tcp.ts';
import { UdpClient } from '../../support/udp.ts';
import { until, within } from '../../support/wait.ts';

const tcp = ['tcp://127.0.0.1:0'];

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

describe('startDaemon', () => {
  it('resolves with the addresses when every listener is open', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://localhost:0', 'udp://127.0.0.1:0'] }, time: { listen: tcp } });
    const expected: readonly Omit<RunningListener, 'port'>[] = [
      { service: 'echo', transport: 'tcp', address: '127.0.0.1' },
      ...(hasIpv6 ? [{ service: 'echo', transport: 'tcp', address: '::1' } as const] : []),
      { service: 'echo', transport: 'udp', address: '127.0.0.1' },
      { service: 'time', transport: 'tcp', address: '127.0.0.1' },
    ];
    expect(daemon.listeners.map(({ port: _port, ...rest }) => rest)).toEqual(expected);
    const client = await UdpClient.open('127.0.0.1');
    expect((await client.ask('hello', daemon.target('echo', 'udp'))).toString()).toBe('hello');
  });

  it('takes a config file path and resolves relative files against its directory', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-daemon-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const file = join(directory, 'mine.yaml');
    await expect(startDaemon(file)).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE', exitCode: 78 });
    writeFileSync(file, 'services: { qotd: { listen: tcp://127.0.0.1:0, file: mine.txt } }\n');
    writeFileSync(join(directory, 'mine.txt'), 'My own words.\n');
    const daemon = await startDaemon(file);
    onTestFinished(() => daemon.close(0));
    const client = await TcpClient.connect({ host: '127.0.0.1', port: daemon.listeners[0]?.port ?? 0 });
    expect((await client.takeAll()).toString()).toBe('My own words.\r\n');
  });

  it.each<[string, object, RegExp]>([
    ['an unknown key', { services: { echo: { listen: tcp, speed: 9 } } }, /^config services\.echo\.speed: /],
    ['an unknown service type', { services: { ecko: { listen: tcp } } }, /^config services\.ecko: /],
    ['no services', {}, /services/],
    [
      'two listeners on one address',
      { services: { echo: { listen: ['tcp://127.0.0.1:9', 'tcp://127.0.0.1:9'] } } },
      /listen/,
    ],
  ])('rejects %s with ConfigInvalidError', async (_case, config, message) => {
    const error: unknown = await startDaemon(config).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigInvalidError);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', exitCode: 78, message: expect.stringMatching(message) });
  });

  it('leaves nothing open if a listener fails', async () => {
    const first = await serve({ echo: { listen: tcp } });
    const { port } = first.target('echo', 'tcp');
    const spare = await serve({ echo: { listen: tcp } });
    const sparePort = spare.target('echo', 'tcp').port;
    await spare.close();
    const listen = [`tcp://127.0.0.1:${sparePort}`, `udp://127.0.0.1:${sparePort}`, `tcp://127.0.0.1:${port}`];
    await expect(startDaemon({ services: { time: { listen } } })).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
      message: `time: cannot listen on tcp://127.0.0.1:${port}: the address is in use by another program`,
    });
    expect(await refuses(sparePort)).toBe(true);
  });

  it('ignores the environment, workers and user', async () => {
    process.env['SMALLSERVD_SERVICES__ECHO__LISTEN'] = 'nonsense';
    onTestFinished(() => {
      delete process.env['SMALLSERVD_SERVICES__ECHO__LISTEN'];
    });
    const daemon = await serve({ echo: { listen: tcp } }, { workers: 4, user: 'nobody' });
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.finish('here');
    expect((await client.takeAll()).toString()).toBe('here');
  });

  it('logs at the configured level', async () => {
    const daemon = await serve({ echo: { listen: tcp } }, { log: { level: 'warn' } });
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.finish();
    await client.gone();
    await daemon.close();
    expect(daemon.log.lines).toEqual([]);
  });
});

describe('close', () => {
  it('lets a connected client finish and refuses new clients', async () => {
    const daemon = await serve({ echo: { listen: tcp } });
    const { host, port } = daemon.target('echo', 'tcp');
    const client = await TcpClient.connect({ host, port });
    client.write('before ');
    await client.take(7);
    const closing = daemon.close();
    expect(await refuses(port)).toBe(true);
    client.finish('and after');
    expect((await client.takeAll()).toString()).toBe('before and after');
    await within(closing, 'the close');
    expect(daemon.log.closed().map(({ reason }) => reason)).toEqual(['completed']);
  });

  it('does not cut off a reply in flight', async () => {
    const daemon = await serve({ echo: { listen: tcp } });
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'), { reads: false });
    const bytes = Buffer.alloc(8 * 1024 * 1024, 'whole ');
    client.finish(bytes);
    await until(() => client.socket.bytesWritten > 65_536, 'the first bytes');
    const closing = daemon.close();
    client.read();
    expect((await client.takeAll()).equals(bytes)).toBe(true);
    await within(closing, 'the close');
  });

  it('closes the remaining clients as shutdown after the grace period', async () => {
    const daemon = await serve({ echo: { listen: tcp } });
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.write('x');
    await client.take(1);
    await within(daemon.close(50), 'the close');
    await client.cut();
    expect(daemon.log.closed().map(({ reason }) => reason)).toEqual(['shutdown']);
  });

  it('defaults to the grace period of the config', async () => {
    const daemon = await serve({ echo: { listen: tcp } }, { shutdown: { grace: '50ms' } });
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    client.write('x');
    await client.take(1);
    await within(daemon.close(), 'the close');
    expect(daemon.log.closed().map(({ reason }) => reason)).toEqual(['shutdown']);
  });

  it('resolves for every call if called more than once', async () => {
    const daemon = await serve({ echo: { listen: [...tcp, 'udp://127.0.0.1:0'] } });
    await within(Promise.all([daemon.close(), daemon.close(0)]), 'both');
    await within(daemon.close(), 'a third');
  });

  it('frees the ports for an immediate restart', async () => {
    const first = await serve({ echo: { listen: [...tcp, 'udp://127.0.0.1:0'] } });
    const listen = first.listeners.map(({ transport, port }) => `${transport}://127.0.0.1:${port}`);
    await first.close();
    const again = await serve({ echo: { listen } });
    expect(again.listeners).toEqual(first.listeners);
  });
});
