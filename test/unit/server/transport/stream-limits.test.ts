import { describe, expect, it } from 'vitest';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until } from '../../../support/wait.ts';

const listen = ['tcp://127.0.0.1:0'];
const megabytes = Buffer.alloc(64 * 1024 * 1024, 'more ');

/** Starts one service named after its kind. */
function serveOne(type: string, config: object): Promise<TestDaemon> {
  return serve({ [type]: { listen, ...config } });
}

async function connect(daemon: TestDaemon, service: string, options?: { reads: boolean }): Promise<TcpClient> {
  return TcpClient.connect(daemon.target(service, 'tcp'), options);
}

/** Connects to echo; whether a byte comes back. A refused client gets nothing and is closed. */
async function isServed(daemon: TestDaemon, localAddress?: string): Promise<boolean> {
  const target = daemon.target('echo', 'tcp');
  const client = await TcpClient.connect(localAddress === undefined ? target : { ...target, localAddress });
  client.write('x');
  await until(() => client.length > 0 || client.ended || client.closed, 'an answer or a refusal');
  return client.length > 0;
}

/** What the summaries say when the daemon has closed. */
async function refusedWhenClosed(daemon: TestDaemon): Promise<Record<string, number>> {
  await daemon.close(0);
  return daemon.log.summed('refused');
}

describe('timeouts', () => {
  it('idleTimeout: a client that sends nothing and takes nothing ends as idle', async () => {
    const daemon = await serveOne('echo', { idleTimeout: '200ms' });
    const client = await connect(daemon, 'echo');
    await client.cut();
    const line = await daemon.log.closing(client.name);
    expect(line).toMatchObject({ level: 'info', service: 'echo', reason: 'idle', bytesIn: 0, bytesOut: 0 });
    expect(line['local']).toBe(`127.0.0.1:${daemon.target('echo', 'tcp').port}`);
    expect(line['ms']).toBeGreaterThanOrEqual(200);
  });

  it('idleTimeout: bytes that it sent or took before are in the log', async () => {
    const daemon = await serveOne('echo', { idleTimeout: '200ms' });
    const client = await connect(daemon, 'echo');
    client.write('hello');
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'idle', bytesIn: 5, bytesOut: 5 });
  });

  it('stallTimeout: echo stops reading from a writer that never reads, and ends it', async () => {
    const daemon = await serveOne('echo', { stallTimeout: '300ms', idleTimeout: 'never' });
    const client = await connect(daemon, 'echo', { reads: false });
    client.write(megabytes);
    const line = await daemon.log.closing(client.name);
    expect(line['reason']).toBe('stalled');
    // What the kernel's buffers hold, far from all of it.
    expect(line['bytesIn']).toBeLessThan(megabytes.length / 2);
    expect(line['bytesOut']).toBeGreaterThan(0);
    // Node reads 64 KiB at a time: the chunk that is being written, and the one that had been read when reading paused.
    expect(Number(line['bytesIn']) - Number(line['bytesOut'])).toBeLessThanOrEqual(2 * 65_536);
  });

  it('stallTimeout: chargen ends a client that never reads', async () => {
    const daemon = await serveOne('chargen', { stallTimeout: '300ms', idleTimeout: 'never' });
    const client = await connect(daemon, 'chargen', { reads: false });
    const line = await daemon.log.closing(client.name);
    expect(line).toMatchObject({ reason: 'stalled', bytesIn: 0 });
    expect(line['bytesOut']).toBeGreaterThan(0);
  });

  it('stallTimeout: others are served while a client stalls', async () => {
    const daemon = await serveOne('echo', { stallTimeout: '1s' });
    const stalled = await connect(daemon, 'echo', { reads: false });
    stalled.write(megabytes);
    const other = await connect(daemon, 'echo');
    for (let turn = 1; daemon.log.closed().length === 0; turn += 1) {
      other.write('x');
      await other.take(turn);
    }
    expect(daemon.log.closed().map(({ peer, reason }) => [peer, reason])).toEqual([[stalled.name, 'stalled']]);
  });

  it('maxLifetime: however busy a client is', async () => {
    const daemon = await serveOne('echo', { maxLifetime: '300ms' });
    const client = await connect(daemon, 'echo');
    while (!client.closed && !client.ended) {
      const before = client.length;
      client.write('x');
      await until(() => client.length > before || client.closed || client.ended, 'an echo');
    }
    const line = await daemon.log.closing(client.name);
    expect(line['reason']).toBe('lifetime');
    expect(line['ms']).toBeGreaterThanOrEqual(300);
  });

  it('maxLifetime: chargen ends there too', async () => {
    const daemon = await serveOne('chargen', { maxLifetime: '300ms' });
    const client = await connect(daemon, 'chargen');
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'lifetime' });
  });

  it('lingerTimeout: how long a client that has its answer may take to end its side', async () => {
    const daemon = await serveOne('daytime', { lingerTimeout: '300ms' });
    const client = await connect(daemon, 'daytime');
    expect((await client.takeAll()).length).toBeGreaterThan(0);
    const line = await daemon.log.closing(client.name);
    expect(line).toMatchObject({ reason: 'completed', bytesOut: client.length });
    expect(line['ms']).toBeGreaterThanOrEqual(300);
    expect(client.error).toBeUndefined();
  });
});

describe('maxBytes', () => {
  it('ends a client that has sent and taken so much, without a reset', async () => {
    const daemon = await serveOne('echo', { maxBytes: 1000 });
    const client = await connect(daemon, 'echo');
    client.write(Buffer.alloc(400, 'a'));
    await client.take(400);
    client.write(Buffer.alloc(400, 'b'));
    expect((await client.takeAll()).toString()).toBe('a'.repeat(400));
    client.finish();
    await client.gone();
    expect(client.error).toBeUndefined();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'quota', bytesIn: 800, bytesOut: 400 });
  });

  it.each([
    ['chargen', 10_000],
    ['daytime', 7],
  ])('cuts an answer there: %s', async (service, maxBytes) => {
    const daemon = await serveOne(service, { maxBytes });
    const client = await connect(daemon, service);
    expect(await client.takeAll()).toHaveLength(maxBytes);
    client.finish();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'quota', bytesOut: maxBytes });
  });
});

describe('admission', () => {
  it('maxConnections: one more is refused as limit; the others go on; one that leaves makes room', async () => {
    const daemon = await serveOne('echo', { maxConnections: 2 });
    const [first, second] = [await connect(daemon, 'echo'), await connect(daemon, 'echo')];
    expect(await isServed(daemon)).toBe(false);
    second?.write('here');
    await second?.take(4);
    first?.finish();
    await daemon.log.closing(first?.name);
    expect(await isServed(daemon)).toBe(true);
    expect(await refusedWhenClosed(daemon)).toEqual({ limit: 1 });
  });

  it('maxConnectionsPerSource: refused as source-limit; another source is served', async () => {
    const daemon = await serveOne('echo', { maxConnectionsPerSource: 2, exempt: [] });
    expect([await isServed(daemon), await isServed(daemon), await isServed(daemon)]).toEqual([true, true, false]);
    expect(await isServed(daemon, '127.0.0.2')).toBe(true);
    expect(await refusedWhenClosed(daemon)).toEqual({ 'source-limit': 1 });
  });

  it('maxConnectionsPerSource: loopback is exempt unless the config says otherwise', async () => {
    const daemon = await serveOne('echo', { maxConnectionsPerSource: 1 });
    expect([await isServed(daemon), await isServed(daemon)]).toEqual([true, true]);
    expect(await refusedWhenClosed(daemon)).toEqual({});
  });

  it('connectionRate: more at once than the burst are refused as rate; another source is served', async () => {
    const daemon = await serveOne('echo', { connectionRate: { perSecond: 1, burst: 3 }, exempt: [] });
    const served: boolean[] = [];
    for (let turn = 0; turn < 20; turn += 1) served.push(await isServed(daemon));
    expect(served.slice(0, 3)).toEqual([true, true, true]);
    expect(served).toContain(false);
    expect(await isServed(daemon, '127.0.0.2')).toBe(true);
    const refused = await refusedWhenClosed(daemon);
    expect(refused).toEqual({ rate: served.filter((each) => !each).length });
  });

  it('streamPrefix: a network can be one source', async () => {
    const daemon = await serveOne('echo', { maxConnectionsPerSource: 1, exempt: [], streamPrefix: { ipv4: 24 } });
    expect([await isServed(daemon), await isServed(daemon, '127.0.0.2')]).toEqual([true, false]);
    expect(await isServed(daemon, '127.0.1.1')).toBe(true);
  });

  it('dryRun: whom the limits would refuse is served, and counted by the reason', async () => {
    const limits = { maxConnections: 3, maxConnectionsPerSource: 2 };
    const daemon = await serveOne('echo', { ...limits, exempt: [], dryRun: true, deny: ['127.0.0.9'] });
    const served: boolean[] = [];
    for (let turn = 0; turn < 4; turn += 1) served.push(await isServed(daemon));
    expect(served).toEqual([true, true, true, true]);
    expect(await isServed(daemon, '127.0.0.9')).toBe(false);
    await daemon.close(0);
    expect(daemon.log.summed('wouldRefuse')).toEqual({ 'source-limit': 1, limit: 1 });
    expect(daemon.log.summed('refused')).toEqual({ denied: 1 });
  });

  it.each([
    ['deny holds it', { deny: ['127.0.0.0/8'] }, undefined, false],
    ['deny wins over allow', { deny: ['127.0.0.1/32'], allow: ['127.0.0.0/8'] }, undefined, false],
    ['allow does not hold it', { allow: ['10.0.0.0/8'] }, undefined, false],
    ['allow holds it', { allow: ['127.0.0.2/32'] }, '127.0.0.2', true],
    ['deny does not hold it', { deny: ['127.0.0.1/32'] }, '127.0.0.2', true],
  ])('access: %s', async (_rule, access, localAddress, admitted) => {
    const daemon = await serveOne('echo', access);
    expect(await isServed(daemon, localAddress)).toBe(admitted);
    expect(await refusedWhenClosed(daemon)).toEqual(admitted ? {} : { denied: 1 });
  });

  it('a refused client is never in the log by itself, and the service never sees it', async () => {
    const daemon = await serveOne('daytime', { deny: ['127.0.0.1'] });
    const client = await connect(daemon, 'daytime');
    expect(await client.takeAll()).toHaveLength(0);
    await daemon.close();
    expect(daemon.log.closed()).toEqual([]);
  });

  it('on a wildcard IPv4 clients are IPv4 clients, for rules and in the log', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://*:0'], allow: ['127.0.0.1/32'] } });
    const { port } = daemon.target('echo', 'tcp', '0.0.0.0');
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    client.finish('x');
    expect((await client.takeAll()).toString()).toBe('x');
    expect(await daemon.log.closing(client.name)).toMatchObject({ local: `127.0.0.1:${port}` });
  });
});
