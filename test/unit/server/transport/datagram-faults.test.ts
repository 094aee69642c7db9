import { describe, expect, it } from 'vitest';
import { hasIpv6, serve, type TestDaemon } from '../../../support/daemon.ts';
import { type UdpTarget, UdpClient } from '../../../support/udp.ts';
import { until, within } from '../../../support/wait.ts';

interface Served {
  readonly daemon: TestDaemon;
  readonly target: UdpTarget;
  readonly client: UdpClient;
}

/** Opens a client on some free port between 1024 and `end`. */
async function openBelow(end: number): Promise<UdpClient> {
  for (let port = end - 1; port > end - 500; port -= 1) {
    const client = await UdpClient.open('127.0.0.1', { port }).catch(() => undefined);
    if (client !== undefined) return client;
  }
  throw new Error('no port is free');
}

describe.each(['kernel', 'node'])('faults of a UDP listener with sockets: %s', (sockets) => {
  async function serveEcho(faults: object, options: object = {}, host = '127.0.0.1'): Promise<Served> {
    const listen = host.includes(':') ? `udp://[${host}]:0` : `udp://${host}:0`;
    const daemon = await serve({ echo: { listen, faults, ...options } }, { sockets });
    return { daemon, target: daemon.target('echo', 'udp', host), client: await UdpClient.open(host) };
  }

  it.each(['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])])(
    'delay: sends a copy, later, to whoever asked %s',
    async (host) => {
      const { target, client } = await serveEcho({ delay: { time: '30ms' } }, {}, host);
      const other = await UdpClient.open(host);
      const startedMs = performance.now();
      for (const text of ['one', 'two', 'three']) client.send(text, target);
      other.send('four', target);
      expect((await client.take(3)).map(String)).toEqual(['one', 'two', 'three']);
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(30);
      expect((await other.take(1)).map(String)).toEqual(['four']);
      expect(client.replies[0]?.from).toEqual(target);
    },
  );

  it('loss: answers nothing', async () => {
    const { daemon, target, client } = await serveEcho({ loss: 1 });
    const time = await serve({ time: { listen: 'udp://127.0.0.1:0' } }, { sockets });
    client.send('lost', target);
    await client.ask('asked later', time.target('time', 'udp'));
    await daemon.close();
    expect(client.replies).toHaveLength(1);
  });

  it('reorder: lets later replies overtake', async () => {
    // With this seed, the first is held back and the others are not.
    const { target, client } = await serveEcho({ seed: 3, reorder: { probability: 0.5, time: '200ms' } });
    const texts = Array.from({ length: 20 }, (_, index) => String(index));
    for (const text of texts) client.send(text, target);
    const replies = (await client.take(20)).map(String);
    expect(replies).not.toEqual(texts);
    expect(replies.toSorted((one, other) => Number(one) - Number(other))).toEqual(texts);
  });

  it('duplicate: sends the same twice, within the amplification that the guard allows', async () => {
    const { target, client } = await serveEcho({ duplicate: 1 });
    client.send('twice', target);
    expect((await client.take(2)).map(String)).toEqual(['twice', 'twice']);
  });

  it('answers: sends no more copies than the guard allows', async () => {
    const { daemon, target, client } = await serveEcho({ answers: { count: 100 } }, { maxAmplification: 3 });
    client.send('many', target);
    await client.take(3);
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ amplification: 97 });
    expect(client.replies).toHaveLength(3);
  });

  it('truncate and corrupt: change what is sent', async () => {
    const { target, client } = await serveEcho({ truncate: { size: 4 }, corrupt: 1 });
    const reply = await client.ask('0123456789', target);
    expect(reply).toHaveLength(4);
    expect(reply.toString()).not.toBe('0123');
  });

  it('maxDelayed: loses what exceeds it', async () => {
    const { daemon, target, client } = await serveEcho({ delay: { time: '100ms' }, maxDelayed: { datagrams: 3 } });
    for (let index = 0; index < 10; index += 1) client.send(String(index), target);
    // A stop lets delayed replies leave.
    await client.take(3);
    await daemon.close();
    expect(client.replies.map(({ bytes }) => String(bytes))).toEqual(['0', '1', '2']);
  });

  it('sends what is delayed after the daemon has begun to stop, but reads nothing more', async () => {
    const { daemon, target, client } = await serveEcho({ delay: { time: '500ms' } });
    const quick = await serve({ echo: { listen: 'udp://127.0.0.1:0' } }, { sockets });
    client.send('before', target);
    // Answered in order, so the first has been read, too.
    await client.ask('x', quick.target('echo', 'udp'));
    await new Promise(setImmediate);
    const closed = daemon.close(10_000);
    client.send('after', target);
    await closed;
    expect((await client.take(2)).map(String)).toEqual(['x', 'before']);
  });

  it('forgets what is delayed when the grace time is over', async () => {
    const { daemon, target, client } = await serveEcho({ delay: { time: '1h' } });
    client.send('never', target);
    await within(daemon.close(20), 'the end of the daemon');
    expect(client.replies).toEqual([]);
  });

  it('cannot be made to loop with a peer that returns everything, whatever is duplicated and corrupted', async () => {
    const faults = { delay: { time: '2ms' }, duplicate: 1, corrupt: 0.5 };
    const { daemon, target } = await serveEcho(faults);
    // Services use ports like this one.
    const reflector = await openBelow(32_768);
    reflector.socket.on('message', (bytes) => reflector.send(bytes, target));
    reflector.send('round and round', target);
    const hasFound = (): boolean => daemon.log.lines.some(({ msg }) => msg === 'loop detected, dropping repeats');
    await until(hasFound, 'the loop to be found');
    await daemon.close();
    expect(daemon.log.summed('dropped')['loop']).toBeGreaterThan(0);
    expect(reflector.replies.length).toBeLessThan(200);
  });

  it('does not touch the service next to it', async () => {
    const listen = 'udp://127.0.0.1:0';
    const services = { echo: { listen, faults: { loss: 1 } }, other: { type: 'echo', listen } };
    const daemon = await serve(services, { sockets });
    const client = await UdpClient.open('127.0.0.1');
    for (let index = 0; index < 20; index += 1)
      expect(String(await client.ask(String(index), daemon.target('other', 'udp')))).toBe(String(index));
    await until(() => client.replies.length === 20, '20 replies');
  });
});

it('a delayed reply leaves direct sockets from the address that was asked', async () => {
  const listen = 'udp://0.0.0.0:0';
  const daemon = await serve({ echo: { listen, faults: { delay: { time: '10ms' } } } }, { sockets: 'kernel' });
  const { port } = daemon.target('echo', 'udp', '0.0.0.0');
  const client = await UdpClient.open('127.0.0.1');
  // Others are asked in the meantime.
  for (const host of ['127.0.0.5', '127.0.0.6', '127.0.0.7']) client.send(host, { host, port });
  await client.take(3);
  expect(client.replies.map(({ bytes, from }) => [String(bytes), from])).toEqual(
    ['127.0.0.5', '127.0.0.6', '127.0.0.7'].map((host) => [host, { host, port }]),
  );
});
