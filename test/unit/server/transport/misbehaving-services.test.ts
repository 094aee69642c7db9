import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { UdpClient } from '../../../support/udp.ts';
import { until } from '../../../support/wait.ts';

const listen = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'];

function serveWith(module: string, options: object = {}, keys: object = {}): Promise<TestDaemon> {
  return serve({ bad: { module: `./${module}.js`, listen, options, ...keys }, echo: { listen } });
}

async function expectServed(daemon: TestDaemon, service: string): Promise<void> {
  const client = await TcpClient.connect(daemon.target(service, 'tcp'));
  client.finish('served');
  expect((await client.takeAll()).toString()).toBe('served');
}

describe('a service that throws', () => {
  it.each(['data', 'end', 'drained'])('in %s: closes only that client', async (where) => {
    const daemon = await serveWith('throws', { where });
    const neighbour = await TcpClient.connect(daemon.target('bad', 'tcp'));
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    client.finish('boom');
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ service: 'bad', reason: 'service-error' });
    const error = daemon.log.lines.find(({ level }) => level === 'error');
    expect(error).toMatchObject({ service: 'bad', peer: client.name, err: { message: `thrown in ${where}` } });
    neighbour.finish('hello');
    expect((await neighbour.takeAll()).toString()).toBe('hello');
    await expectServed(daemon, 'echo');
  });

  it('in stream: closes every client of that service, while other services keep serving', async () => {
    const daemon = await serveWith('throws', { where: 'stream' });
    for (let turn = 0; turn < 3; turn += 1) {
      const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
      await client.cut();
      expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'service-error' });
      await expectServed(daemon, 'echo');
    }
  });

  it.each([
    ['null', 'null'],
    ['text', 'text'],
    ['a promise that rejects', 'promise'],
    ['a list of other values', 'list'],
  ])('returning %s from datagram: sends no reply and answers the next datagram', async (_what, returned) => {
    const daemon = await serveWith('throws', { where: 'datagram', returned });
    const client = await UdpClient.open('127.0.0.1');
    const target = daemon.target('bad', 'udp');
    client.send('boom', target);
    expect((await client.ask('fine', target)).toString()).toBe('fine');
    expect(client.replies).toHaveLength(1);
    await daemon.close();
    const silent = returned === 'null';
    expect(daemon.log.lines.filter(({ level }) => level === 'error')).toHaveLength(silent ? 0 : 1);
  });

  it.each(['stream', 'data', 'end', 'closed'])(
    'asynchronously in %s: closes that client without an unhandled rejection',
    async (where) => {
      const daemon = await serveWith('throws', { where, returned: 'promise' });
      const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
      client.finish('boom');
      if (where === 'closed') await client.takeAll();
      else await client.cut();
      await daemon.log.closing(client.name);
      const error = daemon.log.lines.find(({ level }) => level === 'error');
      expect(error).toMatchObject({ service: 'bad', err: { type: 'TypeError' } });
      await expectServed(daemon, 'echo');
    },
  );

  it('in closed: keeps the close reason and logs the error', async () => {
    const daemon = await serveWith('throws', { where: 'closed' });
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    client.finish('boom');
    expect((await client.takeAll()).toString()).toBe('boom');
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'completed' });
    expect(daemon.log.lines).toContainEqual(expect.objectContaining({ level: 'error', service: 'bad' }));
    await expectServed(daemon, 'bad');
  });

  it('in datagram: sends no reply, counts the error and answers the next datagram', async () => {
    const daemon = await serveWith('throws', { where: 'datagram' });
    const client = await UdpClient.open('127.0.0.1');
    const target = daemon.target('bad', 'udp');
    for (let turn = 0; turn < 3; turn += 1) client.send('boom', target);
    expect((await client.ask('fine', target)).toString()).toBe('fine');
    expect(client.replies).toHaveLength(1);
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ 'service-error': 3 });
    // The first is logged whole, the others are counted.
    expect(daemon.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(daemon.log.lines).toContainEqual(expect.objectContaining({ errorsNotLogged: 2 }));
  });

  it('in create: fails the start with an error that names the service', async () => {
    await expect(serveWith('throws', { where: 'create' })).rejects.toMatchObject({
      code: 'SERVICE_NOT_CREATED',
      message: expect.stringContaining('services.bad cannot be created: thrown in create'),
    });
  });

  it('in close: logs the error and still closes the daemon', async () => {
    const daemon = await serveWith('throws', { where: 'close' });
    await daemon.close();
    expect(daemon.log.lines).toContainEqual(
      expect.objectContaining({ level: 'error', service: 'bad', msg: 'service failed while closing' }),
    );
  });
});

describe('a service that writes what is not bytes', () => {
  const values = ['number', 'null', 'text', 'a list', 'a look-alike', 'other numbers', 'a prototype'];
  const calls = values.flatMap((what) => [
    { method: 'write', what },
    { method: 'end', what },
  ]);

  it.each(calls)('loses only that client: $method of $what', async (call) => {
    const daemon = await serveWith('writes', call);
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    client.write('x');
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'service-error', bytesOut: 0 });
    expect(daemon.log.lines.find(({ level }) => level === 'error')).toMatchObject({
      err: { type: 'TypeError', message: expect.stringMatching(/^expected bytes \(a Uint8Array\), not /) },
    });
    await expectServed(daemon, 'echo');
  });

  it.each(calls)('can still end properly if it catches the error of $method: $what', async (call) => {
    const daemon = await serveWith('writes', { ...call, swallows: true });
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    client.write('x');
    expect((await client.takeAll()).toString()).toBe('sorry');
    client.finish();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'completed', bytesOut: 5 });
  });

  it.each(values.filter((what) => what !== 'null'))('sends no datagram: %s', async (what) => {
    const daemon = await serveWith('writes', { what });
    const client = await UdpClient.open('127.0.0.1');
    client.send('x', daemon.target('bad', 'udp'));
    expect((await client.ask('here', daemon.target('echo', 'udp'))).toString()).toBe('here');
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ 'service-error': 1 });
  });
});

describe('a service that floods', () => {
  it('does not affect others while a client that never reads is closed as stalled', async () => {
    const daemon = await serveWith('floods', {}, { stallTimeout: '300ms' });
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'), { reads: false });
    while (daemon.log.closed(client.name).length === 0) await expectServed(daemon, 'echo');
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'stalled' });
  });

  it('does not affect others while a fast reader takes the flood', async () => {
    const daemon = await serveWith('floods');
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    while (client.length < 48 * 1024 * 1024) await expectServed(daemon, 'echo');
    expect(daemon.log.closed(client.name)).toEqual([]);
  });

  it('sends only leading replies within twice the wire size of the request', async () => {
    const daemon = await serveWith('floods');
    const client = await UdpClient.open('127.0.0.1');
    client.send(Buffer.alloc(1000), daemon.target('bad', 'udp'));
    // (1000 + 46 + 20) * 2 = 2132 bytes: three of 566.
    await client.take(3);
    await client.ask('last', daemon.target('echo', 'udp'));
    expect(client.replies).toHaveLength(4);
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ amplification: 997 });
  });

  it('has a reply over the amplification limit dropped and counted', async () => {
    const daemon = await serveWith('floods');
    const client = await UdpClient.open('127.0.0.1');
    const target = daemon.target('bad', 'udp');
    client.send('one', target);
    client.send(Buffer.alloc(300), target);
    expect((await client.take(1)).map(({ length }) => length)).toEqual([500]);
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ amplification: 1 + 999 });
  });
});

describe('a service that pauses a client', () => {
  it('gets nothing more from it until it resumes, while other clients are served', async () => {
    const daemon = await serveWith('pauses');
    const target = daemon.target('bad', 'tcp');
    const [client, other] = [await TcpClient.connect(target), await TcpClient.connect(target)];
    const megabytes = Buffer.alloc(32 * 1024 * 1024);
    client.finish(megabytes);
    for (let turn = 1, arrived = 0; arrived === 0; turn += 1) {
      other.write('ask');
      await until(() => other.text.split('\n').length > turn, 'the count');
      arrived = Number(other.text.split('\n').at(-2));
      expect(arrived).toBeLessThanOrEqual(128 * 1024);
    }
    await expectServed(daemon, 'echo');
    expect(client.socket.writableLength).toBeGreaterThan(0);
    other.write('resume');
    expect((await client.takeAll()).toString()).toBe('end\n');
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'completed', bytesIn: megabytes.length });
  });

  it('has it closed as idle', async () => {
    const daemon = await serveWith('pauses', {}, { idleTimeout: '500ms' });
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    client.write(Buffer.alloc(32 * 1024 * 1024));
    await client.gone();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'idle' });
  });
});

describe('a service that never ends', () => {
  it('has its client closed as idle', async () => {
    const daemon = await serveWith('never-ends', {}, { idleTimeout: '200ms' });
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    client.finish('hello?');
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'idle', bytesIn: 6 });
  });

  it('has its client closed as shutdown after the grace period', async () => {
    const daemon = await serveWith('never-ends');
    const client = await TcpClient.connect(daemon.target('bad', 'tcp'));
    await daemon.close(50);
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'shutdown' });
  });
});

it('reading resumes once a client has taken a burst written outside any handler', async () => {
  const daemon = await serveWith('bursts');
  const client = await TcpClient.connect(daemon.target('bad', 'tcp'), { reads: false });
  // The burst has begun, and cannot end before it is read: no kernel holds that much.
  await once(client.socket, 'readable');
  client.read();
  client.socket.resume();
  const burst = 32 * 1024 * 1024;
  await client.take(burst);
  client.write('heard');
  await client.take(burst + 5);
  expect(client.bytes.subarray(burst).toString()).toBe('heard');
});
