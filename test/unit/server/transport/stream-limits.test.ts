import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serve, type TestDaemon, usesNodeSockets } from '../../../support/daemon.ts';
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

/** The kernel's connections at a port of 127.0.0.1, as lines of /proc/net/tcp (proc(5)). */
function connectionsOf(port: number): readonly string[] {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const [, ...lines] = readFileSync('/proc/net/tcp', 'latin1').split('\n');
  return lines.filter((line) => {
    const [, address, , state] = line.trim().split(/\s+/);
    // 0A: the listener itself.
    return address === local && state !== '0A';
  });
}

/** What the summaries say when the daemon has closed. */
async function refusedWhenClosed(daemon: TestDaemon): Promise<Record<string, number>> {
  await daemon.close(0);
  return daemon.log.summed('refused');
}

describe('timeouts', () => {
  it('idleTimeout: closes a client that sends and takes nothing', async () => {
    const daemon = await serveOne('echo', { idleTimeout: '200ms' });
    const client = await connect(daemon, 'echo');
    await client.cut();
    const line = await daemon.log.closing(client.name);
    expect(line).toMatchObject({ level: 'info', service: 'echo', reason: 'idle', bytesIn: 0, bytesOut: 0 });
    expect(line['local']).toBe(`127.0.0.1:${daemon.target('echo', 'tcp').port}`);
    expect(line['ms']).toBeGreaterThanOrEqual(200);
  });

  it('idleTimeout: logs the bytes that the client sent and took', async () => {
    const daemon = await serveOne('echo', { idleTimeout: '200ms' });
    const client = await connect(daemon, 'echo');
    client.write('hello');
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'idle', bytesIn: 5, bytesOut: 5 });
  });

  it('stallTimeout: pauses, then closes an echo client that never reads', async () => {
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

  it('stallTimeout: closes a chargen client that never reads', async () => {
    const daemon = await serveOne('chargen', { stallTimeout: '300ms', idleTimeout: 'never' });
    const client = await connect(daemon, 'chargen', { reads: false });
    const line = await daemon.log.closing(client.name);
    expect(line).toMatchObject({ reason: 'stalled', bytesIn: 0 });
    expect(line['bytesOut']).toBeGreaterThan(0);
  });

  it('minRate: closes a client that reads too slowly', async () => {
    const daemon = await serveOne('chargen', { stallTimeout: '600ms', minRate: '100MiB' });
    const client = await connect(daemon, 'chargen', { reads: false });
    const timer = setInterval(() => client.socket.read(), 50);
    onTestFinished(() => clearInterval(timer));
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'stalled' });
  });

  it('stallTimeout: serves others while a client stalls', async () => {
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

  it('maxLifetime: closes a busy client', async () => {
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

  it('maxLifetime: closes a chargen client', async () => {
    const daemon = await serveOne('chargen', { maxLifetime: '300ms' });
    const client = await connect(daemon, 'chargen');
    await client.cut();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'lifetime' });
  });

  it('lingerTimeout: closes an answered client that does not close its side', async () => {
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
  it('closes a client at the limit without a reset', async () => {
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
  ])('truncates an answer at the limit: %s', async (service, maxBytes) => {
    const daemon = await serveOne(service, { maxBytes });
    const client = await connect(daemon, service);
    expect(await client.takeAll()).toHaveLength(maxBytes);
    client.finish();
    expect(await daemon.log.closing(client.name)).toMatchObject({ reason: 'quota', bytesOut: maxBytes });
  });
});

describe('admission', () => {
  it('maxConnections: refuses a client over the limit until another leaves', async () => {
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

  it('maxConnectionsPerSource: refuses a source over the limit and serves others', async () => {
    const daemon = await serveOne('echo', { maxConnectionsPerSource: 2, exempt: [] });
    expect([await isServed(daemon), await isServed(daemon), await isServed(daemon)]).toEqual([true, true, false]);
    expect(await isServed(daemon, '127.0.0.2')).toBe(true);
    expect(await refusedWhenClosed(daemon)).toEqual({ 'source-limit': 1 });
  });

  it('maxConnectionsPerSource: exempts loopback by default', async () => {
    const daemon = await serveOne('echo', { maxConnectionsPerSource: 1 });
    expect([await isServed(daemon), await isServed(daemon)]).toEqual([true, true]);
    expect(await refusedWhenClosed(daemon)).toEqual({});
  });

  it('connectionRate: refuses a source over its burst and serves others', async () => {
    const daemon = await serveOne('echo', { connectionRate: { perSecond: 1, burst: 3 }, exempt: [] });
    const served: boolean[] = [];
    for (let turn = 0; turn < 20; turn += 1) served.push(await isServed(daemon));
    expect(served.slice(0, 3)).toEqual([true, true, true]);
    expect(served).toContain(false);
    expect(await isServed(daemon, '127.0.0.2')).toBe(true);
    const refused = await refusedWhenClosed(daemon);
    expect(refused).toEqual({ rate: served.filter((each) => !each).length });
  });

  it('streamPrefix: can treat a network as one source', async () => {
    const daemon = await serveOne('echo', { maxConnectionsPerSource: 1, exempt: [], streamPrefix: { ipv4: 24 } });
    expect([await isServed(daemon), await isServed(daemon, '127.0.0.2')]).toEqual([true, false]);
    expect(await isServed(daemon, '127.0.1.1')).toBe(true);
  });

  it('dryRun: serves clients over the limits and counts them by reason', async () => {
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
    ['denies a client on the deny list', { deny: ['127.0.0.0/8'] }, undefined, false],
    ['gives deny precedence over allow', { deny: ['127.0.0.1/32'], allow: ['127.0.0.0/8'] }, undefined, false],
    ['denies a client that is not on the allow list', { allow: ['10.0.0.0/8'] }, undefined, false],
    ['admits a client on the allow list', { allow: ['127.0.0.2/32'] }, '127.0.0.2', true],
    ['admits a client that is not on the deny list', { deny: ['127.0.0.1/32'] }, '127.0.0.2', true],
  ])('access: %s', async (_rule, access, localAddress, admitted) => {
    const daemon = await serveOne('echo', access);
    expect(await isServed(daemon, localAddress)).toBe(admitted);
    expect(await refusedWhenClosed(daemon)).toEqual(admitted ? {} : { denied: 1 });
  });

  it('neither logs a refused client individually nor passes it to the service', async () => {
    const daemon = await serveOne('daytime', { deny: ['127.0.0.1'] });
    const client = await connect(daemon, 'daytime');
    expect(await client.takeAll()).toHaveLength(0);
    await daemon.close();
    expect(daemon.log.closed()).toEqual([]);
  });

  it('treats IPv4 clients of a wildcard listener as IPv4 in rules and in the log', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://*:0'], allow: ['127.0.0.1/32'] } });
    const { port } = daemon.target('echo', 'tcp', '0.0.0.0');
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    client.finish('x');
    expect((await client.takeAll()).toString()).toBe('x');
    expect(await daemon.log.closing(client.name)).toMatchObject({ local: `127.0.0.1:${port}` });
  });
});

// Node cannot tell what its kernel holds.
if (!usesNodeSockets())
  it('stallTimeout: keeps a client that half-closes and reads nothing, then resets it', async () => {
    const daemon = await serveOne('echo', { stallTimeout: '500ms' });
    const client = await connect(daemon, 'echo', { reads: false });
    // The kernel takes all of it, and the client's buffer holds the lesser part.
    const sent = megabytes.subarray(0, 600_000);
    client.finish(sent);
    const line = await daemon.log.closing(client.name);
    expect(line).toMatchObject({ reason: 'stalled', bytesIn: sent.length, bytesOut: sent.length });
    expect(line['ms']).toBeGreaterThanOrEqual(500);
    expect(connectionsOf(daemon.target('echo', 'tcp').port)).toEqual([]);
  });
