import { describe, expect, it } from 'vitest';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until, within } from '../../../support/wait.ts';

const listen = ['tcp://127.0.0.1:0'];

async function connect(daemon: TestDaemon, type: string, options?: { reads: boolean }): Promise<TcpClient> {
  return TcpClient.connect(daemon.target(type, 'tcp'), options);
}

describe.each(['kernel', 'node'])('faults of a stream listener with sockets: %s', (sockets) => {
  async function serveOne(type: string, faults: object, options: object = {}): Promise<TestDaemon> {
    return serve({ [type]: { listen, faults, ...options } }, { sockets });
  }

  it('delay: sends each chunk later, and all in order', async () => {
    const daemon = await serveOne('echo', { delay: { time: '20ms', jitter: '15ms' } });
    const client = await connect(daemon, 'echo');
    const text = Array.from({ length: 30 }, (_, index) => `line ${index}\n`);
    for (const line of text) client.write(line);
    client.finish();
    expect((await client.takeAll()).toString()).toBe(text.join(''));
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'completed' });
  });

  it('delay: sends a megabyte unchanged, with several chunks under way', async () => {
    const daemon = await serveOne('echo', { delay: { time: '2ms', jitter: '2ms', distribution: 'uniform' } });
    const client = await connect(daemon, 'echo');
    const sent = Buffer.alloc(1 << 20, 'all of these bytes, in this order ');
    client.finish(sent);
    expect((await client.takeAll()).equals(sent)).toBe(true);
  });

  it('firstByteDelay: delays the first chunk', async () => {
    const daemon = await serveOne('daytime', { firstByteDelay: { time: '50ms' } });
    const startedMs = performance.now();
    const client = await connect(daemon, 'daytime');
    expect((await client.takeAll()).length).toBeGreaterThan(10);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(50);
  });

  it('acceptDelay: serves nothing before its time', async () => {
    const daemon = await serveOne('echo', { acceptDelay: { time: '50ms' } });
    const startedMs = performance.now();
    const client = await connect(daemon, 'echo');
    client.finish('hello');
    expect((await client.takeAll()).toString()).toBe('hello');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(50);
  });

  it('acceptDelay: forgets a client that leaves meanwhile, at a stop', async () => {
    const daemon = await serveOne('echo', { acceptDelay: { time: '1h' } });
    const client = await connect(daemon, 'echo');
    const closing = daemon.log.closing(client.name);
    await within(daemon.close(20), 'the end of the daemon');
    expect(await closing).toMatchObject({ reason: 'shutdown', bytesOut: 0 });
  });

  it('rate: sends no faster, and loses nothing', async () => {
    const daemon = await serveOne('echo', { rate: { perSecond: 10_000 } });
    const client = await connect(daemon, 'echo');
    const startedMs = performance.now();
    const sent = Buffer.alloc(3000, 'slowly ');
    client.finish(sent);
    expect((await client.takeAll()).equals(sent)).toBe(true);
    // 20 ms may go at once, and a late timer may make up for 20 more.
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(250);
  });

  it('corrupt: flips one bit of a chunk', async () => {
    const daemon = await serveOne('echo', { corrupt: 1 });
    const client = await connect(daemon, 'echo');
    client.finish('hello');
    const reply = await client.takeAll();
    const bits = [...reply].map((byte, index) => (byte ^ 'hello'.charCodeAt(index)).toString(2).replaceAll('0', ''));
    expect(bits.join('')).toBe('1');
  });

  it.each([
    ['closeAfter', true],
    ['resetAfter', false],
  ] as const)('%s: ends the connection after that many bytes', async (fault, isInOrder) => {
    const daemon = await serveOne('echo', { [fault]: { size: 100 } });
    const client = await connect(daemon, 'echo');
    client.write(Buffer.alloc(60));
    await client.take(60);
    client.write(Buffer.alloc(60));
    await client.cut();
    expect(client.length).toBe(100);
    // Node takes a reset that comes with data for a FIN, until it sends something.
    client.finish('more');
    await client.gone();
    expect([undefined, 'ECONNRESET', 'EPIPE'].indexOf(client.error?.code) > 0).toBe(!isInOrder);
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'fault', bytesOut: 100 });
  });

  it.each([
    ['closeAfter', true],
    ['resetAfter', false],
  ] as const)('%s: ends the connection after that time', async (fault, isInOrder) => {
    const daemon = await serveOne('discard', { [fault]: { time: '30ms' } });
    const client = await connect(daemon, 'discard');
    await client.cut();
    expect([client.ended, client.error?.code]).toEqual(isInOrder ? [true, undefined] : [false, 'ECONNRESET']);
    client.finish();
    const line = await daemon.log.closing(client.name);
    expect(line['reason']).toBe('fault');
    expect(line['ms']).toBeGreaterThanOrEqual(29);
  });

  it('closeAfter: ends even a connection whose output is delayed', async () => {
    const daemon = await serveOne('echo', { delay: { time: '1h' }, closeAfter: { time: '20ms' } });
    const client = await connect(daemon, 'echo');
    client.write('never sent');
    expect(await client.takeAll()).toHaveLength(0);
    client.finish();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'fault', bytesOut: 0 });
  });

  it('resetOnAccept: resets at once, without serving', async () => {
    const daemon = await serveOne('chargen', { resetOnAccept: 1 });
    const client = await connect(daemon, 'chargen').catch((error: unknown) => error as NodeJS.ErrnoException);
    if (client instanceof TcpClient) {
      await client.gone();
      expect([client.length, client.error?.code]).toEqual([0, 'ECONNRESET']);
    } else {
      expect(client.code).toBe('ECONNRESET');
    }
    await until(() => daemon.log.closed().length === 1, 'the closing line');
    expect(daemon.log.closed()[0]).toMatchObject({ reason: 'fault', bytesOut: 0 });
  });

  it('halfCloseEarly: ends our side after the first chunk, and still reads', async () => {
    const daemon = await serveOne('echo', { halfCloseEarly: 1 });
    const client = await connect(daemon, 'echo');
    client.write('first');
    expect((await client.takeAll()).toString()).toBe('first');
    const more = Buffer.alloc(1 << 20);
    client.finish(more);
    await client.gone();
    expect(await daemon.log.closing(client.name)).toMatchObject({ bytesIn: 5 + more.length, bytesOut: 5 });
  });

  it('halfCloseEarly: counts what it still reads for maxBytes', async () => {
    const daemon = await serveOne('echo', { halfCloseEarly: 1 }, { maxBytes: 1000 });
    const client = await connect(daemon, 'echo');
    client.write('first');
    await client.takeAll();
    client.write(Buffer.alloc(2000));
    client.finish();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'quota', bytesOut: 5 });
  });

  it('halfCloseEarly: does not make a service write for ever', async () => {
    const daemon = await serveOne('chargen', { halfCloseEarly: 1 }, { idleTimeout: '200ms' });
    const client = await connect(daemon, 'chargen');
    await client.takeAll();
    const line = await daemon.log.closing(client.name);
    expect(line['reason']).toBe('idle');
    expect(line['bytesOut']).toBe(client.length);
  });

  it('blackhole: takes everything and answers nothing, not even a FIN', async () => {
    const daemon = await serveOne('echo', { blackhole: 1 }, { idleTimeout: '500ms' });
    const client = await connect(daemon, 'echo');
    const sent = Buffer.alloc(100_000);
    client.finish(sent);
    const line = await daemon.log.closing(client.name);
    expect(line).toMatchObject({ reason: 'idle', bytesIn: sent.length, bytesOut: 0 });
    expect(client.length).toBe(0);
  });

  it('blackhole: obeys maxBytes', async () => {
    const daemon = await serveOne('echo', { blackhole: 1 }, { maxBytes: 1000 });
    const client = await connect(daemon, 'echo');
    client.finish(Buffer.alloc(2000));
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'quota', bytesOut: 0 });
  });

  it('stopReading: takes nothing, but sends', async () => {
    const daemon = await serveOne('daytime', { stopReading: 1 });
    const client = await connect(daemon, 'daytime');
    expect((await client.takeAll()).length).toBeGreaterThan(10);

    const echo = await serveOne('echo', { stopReading: 1 }, { idleTimeout: '300ms' });
    const silent = await connect(echo, 'echo');
    silent.write('hello');
    expect(await echo.log.closing(silent.name)).toMatchObject({ reason: 'idle', bytesIn: 0, bytesOut: 0 });
  });

  it('stallTimeout: applies to output that a fault delays', async () => {
    const options = { stallTimeout: '200ms', idleTimeout: 'never' };
    const daemon = await serveOne('echo', { delay: { time: '1h' } }, options);
    const client = await connect(daemon, 'echo');
    client.write('late');
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'stalled', bytesIn: 4, bytesOut: 0 });
  });

  it('maxBytes: ends a connection whose output is delayed', async () => {
    const daemon = await serveOne('chargen', { delay: { time: '5ms' } }, { maxBytes: 1000 });
    const client = await connect(daemon, 'chargen');
    expect(await client.takeAll()).toHaveLength(1000);
    client.finish();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'quota', bytesOut: 1000 });
  });

  it('maxDelayed: resets a client whose output has no room', async () => {
    const daemon = await serveOne('echo', { delay: { time: '1h' }, maxDelayed: { bytes: 1000 } });
    const client = await connect(daemon, 'echo');
    client.write(Buffer.alloc(2000));
    await client.gone();
    expect(client.error?.code).toBe('ECONNRESET');
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'fault', bytesOut: 0 });
  });

  it('maxDelayed: a client that does not read makes its service wait', async () => {
    const options = { stallTimeout: '300ms', idleTimeout: 'never' };
    const daemon = await serveOne('chargen', { delay: { time: '1h' }, maxDelayed: { bytes: '1MiB' } }, options);
    const client = await connect(daemon, 'chargen');
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'stalled', bytesOut: 0 });
  });

  it('a stop waits for delayed output, but not beyond the grace time', async () => {
    const daemon = await serveOne('daytime', { firstByteDelay: { time: '60ms' } });
    const client = await connect(daemon, 'daytime');
    await until(() => client.socket.readyState === 'open', 'a connection');
    const closed = daemon.close(10_000);
    expect((await client.takeAll()).length).toBeGreaterThan(10);
    client.finish();
    await within(closed, 'the end of the daemon');

    const slow = await serveOne('daytime', { firstByteDelay: { time: '1h' } });
    const late = await connect(slow, 'daytime');
    const closing = slow.log.closing(late.name);
    await within(slow.close(20), 'the end of the daemon');
    expect(await closing).toMatchObject({ reason: 'shutdown', bytesOut: 0 });
  });

  it('delay: goes on with every client, even while together they wait for room', async () => {
    const faults = { delay: { time: '20ms' }, maxDelayed: { bytes: '4MiB' } };
    const daemon = await serveOne('chargen', faults);
    const clients = await Promise.all(Array.from({ length: 40 }, async () => connect(daemon, 'chargen')));
    await Promise.all(clients.map(async (client) => client.take(300_000)));
    for (const client of clients) client.socket.destroy();
  });

  it('acts for clients of a UNIX socket, too', async () => {
    const path = `${temporaryDirectory()}/echo.sock`;
    await serve({ echo: { listen: [`unix://${path}`], faults: { resetAfter: { size: 3 } } } }, { sockets });
    const client = await TcpClient.connect({ path });
    client.write('hello');
    await client.cut();
    expect(client.text).toBe('hel');
  });
});
