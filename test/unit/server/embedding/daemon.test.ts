import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type Config,
  ConfigInvalidError,
  type Faults,
  type RunningListener,
  type ServiceContext,
  type ServiceModule,
  startDaemon,
} from '../../../../src/index.ts';
import { readSnapshot } from '../../../../src/server/admin/snapshot-shape.ts';
import { version } from '../../../../src/version.ts';
import { hasIpv6, serve } from '../../../support/daemon.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { UdpClient } from '../../../support/udp.ts';
import { until, within } from '../../../support/wait.ts';

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
    ['a Map of services', { services: new Map([['echo', { listen: tcp }]]) }, /^config services is not a value/],
    [
      'a service that is not a plain object',
      { services: { echo: new Date() } },
      /^config services\.echo is not a value/,
    ],
    [
      'two listeners on one address',
      { services: { echo: { listen: ['tcp://127.0.0.1:9', 'tcp://127.0.0.1:9'] } } },
      /listen/,
    ],
  ])('rejects %s with ConfigInvalidError', async (_case, config, message) => {
    const error: unknown = await startDaemon(config as Config).catch((reason: unknown) => reason);
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

  it('counts the lines that its host fails to log, and goes on', async () => {
    let thrown = 0;
    const write = (): void => {
      thrown += 1;
      throw new Error('disk full');
    };
    const config: Config = { log: { level: 'debug' }, services: { echo: { listen: tcp } } };
    const daemon = await startDaemon(config, { log: { write } });
    onTestFinished(() => daemon.close(0));
    const listener = { host: '127.0.0.1', port: daemon.listeners[0]?.port ?? 0 };
    const before = thrown;
    for (const text of ['one', 'two']) {
      const client = await TcpClient.connect(listener);
      client.finish(text);
      expect((await client.takeAll()).toString()).toBe(text);
    }
    await until(() => thrown >= before + 2, 'two lines');
    expect(daemon.status().lostLogLines).toBe(thrown);
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

/** A module of somebody who embeds the daemon. Its options are those of the config. */
const shout: ServiceModule<{ readonly word: string; readonly after: number }> = {
  name: 'shout',
  summary: 'says a word, later',
  options: {
    word: { doc: 'The word.', format: 'string', default: 'hey' },
    after: { doc: 'When.', format: 'duration', default: 1 },
  },
  create({ word, after }, context) {
    const words = context.counter('words', 'Words said.');
    return {
      stream(client) {
        const cancel = context.after(after, () => {
          words.add();
          client.end(Buffer.from(word.toUpperCase()));
        });
        return { closed: cancel };
      },
    };
  },
};

describe('a module that is an object', () => {
  it('is a service with its options, whose late answers are sent', async () => {
    const options = { word: 'ahoy', after: '5ms' };
    const daemon = await serve({
      shop: { module: shout, listen: tcp, options },
      shout: { module: shout, listen: tcp },
    });
    for (const [service, said] of [
      ['shop', 'AHOY'],
      ['shout', 'HEY'],
    ] as const) {
      const client = await TcpClient.connect(daemon.target(service, 'tcp'));
      expect((await client.takeAll()).toString()).toBe(said);
      expect(daemon.counters(service).custom).toEqual({ words: { help: 'Words said.', count: 1 } });
    }
    expect(daemon.status().services['shop']).toMatchObject({ type: 'shout', custom: { words: { count: 1 } } });
  });

  it('may be an instance of a class', async () => {
    class Shout {
      readonly name = 'shout';
      readonly summary = shout.summary;
      readonly options = shout.options;
      create(...given: Parameters<typeof shout.create>): ReturnType<typeof shout.create> {
        return shout.create(...given);
      }
    }
    const daemon = await serve({ shop: { module: new Shout(), listen: tcp } });
    expect(daemon.status().services['shop']).toMatchObject({ type: 'shout' });
  });

  it('answers nobody after the end', async () => {
    const daemon = await serve({ shout: { module: shout, listen: tcp, options: { after: '1h' } } });
    const client = await TcpClient.connect(daemon.target('shout', 'tcp'));
    await until(() => daemon.counters('shout').stream.active === 1, 'the client');
    await daemon.close(0);
    await client.cut();
    expect(daemon.counters('shout').custom['words']?.count).toBe(0);
  });

  it.each<[string, object, string]>([
    ['has no name', { module: { ...shout, name: undefined } }, 'module: "shop": not a service module: name is not'],
    ['has no options', { module: { ...shout, options: [] } }, 'module: "shout": not a service module: options is not'],
    ['gets an unknown option', { module: shout, options: { words: 'x' } }, 'options.words: unknown key'],
    [
      'gets an option of the wrong form',
      { module: shout, options: { after: 5 } },
      'options.after: 5 is not a duration',
    ],
    ['comes with a type', { module: shout, type: 'echo' }, 'module cannot be combined with type'],
    ['is a function', { module: () => shout }, 'module is not a value that a config can hold'],
    ['is a list', { module: [shout] }, 'module'],
  ])('is refused if it %s', async (_case, service, message) => {
    const config = { services: { shop: { listen: tcp, ...service } } } as Config;
    await expect(startDaemon(config)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`config services.shop.${message}`),
    });
  });

  it('is refused if its counters cannot be', async () => {
    const module = { ...shout, create: (_: object, context: ServiceContext) => context.counter('No-Name', 'No.') };
    await expect(
      startDaemon({ services: { shop: { module: module as object as typeof shout, listen: tcp } } }),
    ).rejects.toMatchObject({
      code: 'SERVICE_NOT_CREATED',
      message: expect.stringContaining('services.shop cannot be created: the counter name "No-Name" is not'),
    });
  });
});

describe('a running daemon', () => {
  it('tells its status and its counters, of that moment', async () => {
    const daemon = await serve({ echo: { listen: ['udp://127.0.0.1:0'] } });
    const before = [daemon.status(), daemon.counters('echo')] as const;
    const client = await UdpClient.open('127.0.0.1');
    await client.ask('hello', daemon.target('echo', 'udp'));
    expect(before[0].services['echo']?.datagram.received).toBe(0);
    expect(before[1].datagram.received).toBe(0);
    expect(daemon.counters('echo').datagram.received).toBe(1);
    const { port } = daemon.target('echo', 'udp');
    expect(daemon.status()).toMatchObject({
      version,
      pid: process.pid,
      state: 'ready',
      notReady: [],
      config: { name: 'config', hash: expect.stringMatching(/^[0-9a-f]{12}$/) },
      listeners: [{ service: 'echo', address: `udp://127.0.0.1:${port}`, isOpen: true }],
      services: { echo: { type: 'echo', datagram: { received: 1, sent: 1 } } },
    });
    expect('snapshot' in readSnapshot(JSON.parse(JSON.stringify(daemon.status())))).toBe(true);
    await daemon.close();
    expect(daemon.status()).toMatchObject({ state: 'draining', notReady: ['draining'] });
  });

  it('changes faults, and forgets those of the config', async () => {
    const daemon = await serve({ echo: { listen: ['udp://127.0.0.1:0'], faults: { loss: 1 } } });
    const target = daemon.target('echo', 'udp');
    const client = await UdpClient.open('127.0.0.1');
    daemon.faults('echo', { truncate: { size: 3 }, seed: 9 });
    expect((await client.ask('hello', target)).toString()).toBe('hel');
    daemon.faults('echo', undefined);
    expect((await client.ask('hello', target)).toString()).toBe('hello');
    expect(daemon.counters('echo').datagram.faults).toMatchObject({ loss: 0, truncate: 1 });
    expect(daemon.log.lines.filter(({ msg }) => msg === 'faults changed on request')).toMatchObject([
      { service: 'echo', seed: 9, faults: { truncate: { probability: 1, bytes: 3 } } },
      { service: 'echo', faults: {} },
    ]);
  });

  it.each<[string, object, string]>([
    ['unknown', { lost: 1 }, 'faults lost: unknown key'],
    ['impossible', { loss: 2, delay: { time: '5 ms' } }, 'faults loss: 2 is not a number from 0 to 1'],
    ['no config at all', { loss: () => 1 }, 'faults loss is not a value'],
    ['a list', [0.5], 'faults'],
  ])('refuses faults that are %s, and keeps its own', async (_case, faults, message) => {
    const daemon = await serve({ echo: { listen: ['udp://127.0.0.1:0'], faults: { truncate: { size: 3 } } } });
    expect(() => daemon.faults('echo', faults as Faults)).toThrow(ConfigInvalidError);
    expect(() => daemon.faults('echo', faults as Faults)).toThrow(message);
    const client = await UdpClient.open('127.0.0.1');
    expect((await client.ask('hello', daemon.target('echo', 'udp'))).toString()).toBe('hel');
  });

  it('knows only the services of its config', async () => {
    const daemon = await serve({ echo: { listen: tcp } });
    const error = expect.objectContaining({ code: 'ARGUMENT_INVALID', message: 'the config has no service "time"' });
    expect(() => daemon.faults('time', {})).toThrow(error);
    expect(() => daemon.counters('time')).toThrow(error);
  });

  it('is closed by `await using`', async () => {
    const daemon = await serve({ echo: { listen: tcp } });
    const { port } = daemon.target('echo', 'tcp');
    await daemon[Symbol.asyncDispose]();
    expect(await refuses(port)).toBe(true);
  });
});
