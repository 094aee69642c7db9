import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { load, type LoadOptions, type LoadProgress, type LoadService, loadServices } from '../../../src/client/load.ts';
import { hasIpv6, serve, type TestDaemon } from '../../support/daemon.ts';
import { fakeTcpServer, fakeUdpServer } from '../../support/fake-servers.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/wait.ts';

const many = { perSecond: 1_000_000, burst: 1_000_000 };
/** No limit of the daemon's own gets in the way. */
const roomy = {
  defaults: { connectionRate: many, datagramRate: many, datagramServiceRate: many },
};

async function daemonWith(service: LoadService): Promise<TestDaemon> {
  return serve({ [service]: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } }, roomy);
}

function contextOf(daemon: TestDaemon, service: LoadService, protocol: 'tcp' | 'udp'): string {
  const { host, port } = daemon.target(service, protocol);
  return `${host}:${port}`;
}

/** Long: tests end by their number of requests, or by a signal. */
const durationMs = 60_000;

describe('load against smallservd', () => {
  it.each(loadServices.filter((service) => service !== 'discard' && service !== 'chargen'))(
    'gets an answer to every %s request over TCP',
    async (service) => {
      const daemon = await daemonWith(service);
      const host = contextOf(daemon, service, 'tcp');
      const result = await load(host, { service, connections: 5, requests: 40, durationMs });
      expect(result).toMatchObject({ service, protocol: 'tcp', answered: 40, failed: 0, errors: {}, unfinished: 0 });
      expect(result.bytesReceived).toBeGreaterThanOrEqual(40);
      expect(result.response).toMatchObject({ count: 40 });
      expect(result.openLoop).toBeUndefined();
      // One connection more found the address, where each serves one request.
      const connections = service === 'echo' ? 5 : 41;
      await until(() => daemon.log.closed().length === connections, 'the end of all connections');
    },
  );

  it.each(loadServices)('gets an answer to every %s request over UDP', async (service) => {
    const daemon = await daemonWith(service);
    const host = contextOf(daemon, service, 'udp');
    const result = await load(host, { service, udp: true, connections: 5, requests: 40, durationMs });
    expect(result).toMatchObject({ service, protocol: 'udp', answered: 40, failed: 0, bytesSent: 40 * 64 });
    expect(result.serviceTime).toMatchObject({ count: 40 });
  });

  it.each(['discard', 'chargen'] as const)('streams %s over TCP until interrupted', async (service) => {
    const daemon = await daemonWith(service);
    const abort = new AbortController();
    const moved = ({ bytesSent, bytesReceived }: LoadProgress): number =>
      service === 'discard' ? bytesSent : bytesReceived;
    const result = await load(contextOf(daemon, service, 'tcp'), {
      service,
      connections: 3,
      durationMs,
      signal: abort.signal,
      onProgress: (progress) => {
        if (moved(progress) > 1_000_000) abort.abort();
      },
    });
    expect(result).toMatchObject({ answered: 0, failed: 0, unfinished: 0, isInterrupted: true, response: undefined });
    expect(service === 'discard' ? result.bytesSent : result.bytesReceived).toBeGreaterThan(1_000_000);
    await until(() => daemon.log.closed().length === 3, 'the end of all connections');
  });

  it('handles an answer in many pieces', async () => {
    const daemon = await daemonWith('echo');
    const size = 1024 * 1024;
    const result = await load(contextOf(daemon, 'echo', 'tcp'), { connections: 2, requests: 8, size, durationMs });
    expect(result).toMatchObject({ answered: 8, failed: 0, bytesSent: 8 * size, bytesReceived: 8 * size });
  });

  it('handles the largest datagrams', async () => {
    const daemon = await daemonWith('echo');
    const options = { udp: true, connections: 2, requests: 6, size: 65_507, durationMs };
    expect(await load(contextOf(daemon, 'echo', 'udp'), options)).toMatchObject({ answered: 6, failed: 0 });
  });

  it('keeps the requested rate over TCP and UDP', async () => {
    const daemon = await daemonWith('echo');
    for (const protocol of ['tcp', 'udp'] as const) {
      const options = { udp: protocol === 'udp', perSecond: 1000, requests: 100, durationMs };
      const result = await load(contextOf(daemon, 'echo', protocol), options);
      expect(result).toMatchObject({ answered: 100, failed: 0, openLoop: { wantedPerSecond: 1000, waiting: 0 } });
      // The last is due after 99 ms: it comes neither before, nor is it sent before.
      expect(result.elapsedMs).toBeGreaterThanOrEqual(99);
      const { response, serviceTime } = result;
      expect(response?.meanMs).toBeGreaterThanOrEqual(serviceTime?.meanMs ?? Infinity);
    }
  });

  it('sends no more than the rate allows before the end', async () => {
    const daemon = await daemonWith('echo');
    const result = await load(contextOf(daemon, 'echo', 'tcp'), { perSecond: 100, durationMs: 200 });
    expect(result.answered + result.unfinished + (result.openLoop?.waiting ?? 0)).toBe(20);
    expect(result.elapsedMs).toBeGreaterThanOrEqual(200);
  });

  it.runIf(hasIpv6)('uses IPv6 if requested', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://localhost:0'] } }, roomy);
    const { port } = daemon.target('echo', 'tcp', '::1');
    const result = await load(`[::1]:${port}`, { family: 'ipv6', requests: 10, connections: 2, durationMs });
    expect(result).toMatchObject({ answered: 10, failed: 0, peer: { address: '::1', port } });
  });

  it('opens no more connections than requested, including the first', async () => {
    const limit = { echo: { listen: ['tcp://127.0.0.1:0'], maxConnections: 4 } };
    const daemon = await serve(limit);
    const host = contextOf(daemon, 'echo', 'tcp');
    expect(await load(host, { connections: 4, requests: 50, durationMs })).toMatchObject({ answered: 50, failed: 0 });
  });

  it('counts connections refused by the daemon', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0'], maxConnections: 2 } });
    const abort = new AbortController();
    const result = await load(contextOf(daemon, 'echo', 'tcp'), {
      connections: 4,
      durationMs,
      signal: abort.signal,
      onProgress: ({ failed }) => {
        if (failed > 0) abort.abort();
      },
    });
    expect(result.answered).toBeGreaterThan(0);
    expect(result.failed).toBeGreaterThan(0);
    for (const kind of Object.keys(result.errors))
      expect(['closed without an answer', 'connection reset', 'the connection was closed']).toContain(kind);
  });
});

describe('load against misbehaving servers', () => {
  const small: LoadOptions = { connections: 1, durationMs, requests: 3 };

  it('counts resets and reconnects', async () => {
    let clients = 0;
    const { name } = await fakeTcpServer((socket) => {
      const isBad = clients++ === 0;
      socket.on('data', (bytes) => void (isBad ? socket.resetAndDestroy() : socket.write(bytes)));
    });
    expect(await load(name, small)).toMatchObject({ answered: 2, failed: 1, errors: { 'connection reset': 1 } });
  });

  it.each([
    ['changed bytes', (bytes: Buffer): Buffer => bytes.map((byte) => byte ^ 1) as Buffer],
    ['an extra byte', (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.from('!')])],
  ])('treats %s as wrong content', async (_what, corrupt) => {
    let requests = 0;
    const { name } = await fakeTcpServer((socket) => {
      socket.on('data', (bytes) => socket.write(requests++ === 1 ? corrupt(bytes) : bytes));
    });
    const result = await load(name, { ...small, requests: 4 });
    expect(result).toMatchObject({ answered: 3, failed: 1, errors: { 'wrong content': 1 } });
  });

  it('treats unsolicited bytes as wrong content', async () => {
    let clients = 0;
    const { name } = await fakeTcpServer((socket) => {
      if (clients++ === 0) return void socket.write('hello');
      socket.on('data', (bytes) => socket.write(bytes));
    });
    expect(await load(name, small)).toMatchObject({ answered: 2, errors: { 'wrong content': 1 } });
  });

  it('counts connections closed without an answer', async () => {
    const { name } = await fakeTcpServer((socket) => void socket.end());
    const options: LoadOptions = { service: 'daytime', connections: 1, requests: 2, durationMs };
    const result = await load(name, options);
    expect(result).toMatchObject({ answered: 0, failed: 2, errors: { 'closed without an answer': 2 } });
    expect(result.response).toBeUndefined();
    expect(result.distribution).toEqual([]);
  });

  it('rejects a time answer that is not 4 or 8 bytes long', async () => {
    const { name } = await fakeTcpServer((socket) => void socket.end('noon'.repeat(3)));
    const result = await load(name, { service: 'time', connections: 1, requests: 1, durationMs });
    expect(result.errors).toEqual({ 'wrong content': 1 });
  });

  it('gives up on a silent server after the timeout', async () => {
    const { name } = await fakeTcpServer((socket) => void socket.resume());
    const result = await load(name, { connections: 2, requests: 2, timeoutMs: 50, durationMs });
    expect(result).toMatchObject({ answered: 0, errors: { timeout: 2 } });
  });

  it('has no result if a silent server takes requests until the end', async () => {
    const { name } = await fakeTcpServer((socket) => void socket.resume());
    const result = await load(name, { connections: 1, durationMs: 50 });
    expect(result).toMatchObject({ answered: 0, failed: 0, unfinished: 1, bytesSent: 64, outcome: 'timeout' });
  });

  it('counts connections refused during the run', async () => {
    const server = createServer((socket) => {
      server.close();
      socket.on('error', () => {}).on('data', () => socket.resetAndDestroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const abort = new AbortController();
    const result = await load(`127.0.0.1:${port}`, {
      connections: 1,
      durationMs,
      signal: abort.signal,
      onProgress: ({ failed }) => {
        if (failed >= 2) abort.abort();
      },
    });
    expect(result).toMatchObject({ answered: 0, isInterrupted: true, errors: { 'connection reset': 1 } });
    expect(result.errors['connection refused']).toBeGreaterThan(0);
  });

  it('counts lost datagrams and continues', async () => {
    let requests = 0;
    const { name } = await fakeUdpServer((bytes, reply) => {
      requests += 1;
      if (requests !== 2) reply(bytes);
    });
    const result = await load(name, { udp: true, connections: 1, requests: 3, timeoutMs: 100, durationMs });
    expect(result).toMatchObject({ answered: 2, failed: 1, errors: { lost: 1 } });
  });

  it('treats a truncated datagram as wrong content', async () => {
    let requests = 0;
    const { name } = await fakeUdpServer((bytes, reply) => {
      requests += 1;
      reply(requests === 2 ? bytes.subarray(1) : bytes);
    });
    const result = await load(name, { udp: true, connections: 1, requests: 3, durationMs });
    expect(result).toMatchObject({ answered: 2, errors: { 'wrong content': 1 } });
  });

  it('ignores duplicate answers', async () => {
    const { name } = await fakeUdpServer((bytes, reply) => {
      reply(bytes);
      reply(bytes);
    });
    const result = await load(name, { udp: true, connections: 1, requests: 20, durationMs });
    expect(result).toMatchObject({ answered: 20, failed: 0 });
  });

  it('counts ports that become unreachable', async () => {
    let requests = 0;
    const server = createSocket('udp4', (bytes, { port, address }) => {
      requests += 1;
      // The first finds the address.
      if (requests === 1) server.send(bytes, port, address);
      else server.close();
    }).bind(0, '127.0.0.1');
    await once(server, 'listening');
    const host = `127.0.0.1:${server.address().port}`;
    const result = await load(host, { udp: true, connections: 1, requests: 3, timeoutMs: 200, durationMs });
    expect(result).toMatchObject({ answered: 0, failed: 3, errors: { lost: 1, 'port unreachable': 2 } });
  });
});

describe('load without a server', () => {
  it.each([false, true])('fails if the port is closed (udp: %s)', async (udp) => {
    const host = `127.0.0.1:${await freePort()}`;
    await expect(load(host, { udp, durationMs })).rejects.toMatchObject({ code: 'CONNECT_FAILED', exitCode: 2 });
  });

  it('fails if the UDP peer is silent from the start', async () => {
    const { name } = await fakeUdpServer(() => {});
    await expect(load(name, { udp: true, timeoutMs: 50, durationMs })).rejects.toMatchObject({ code: 'NO_ANSWER' });
  });

  it('fails if interrupted before the first result', async () => {
    const { name } = await fakeUdpServer(() => {});
    const rejected = { code: 'INTERRUPTED', exitCode: 130 };
    const abort = new AbortController();
    const loading = load(name, { udp: true, signal: abort.signal, durationMs });
    abort.abort();
    await expect(loading).rejects.toMatchObject(rejected);
    await expect(load(name, { signal: AbortSignal.abort() })).rejects.toMatchObject(rejected);
  });
});

describe('load arguments', () => {
  const cases: readonly (readonly [string, LoadOptions])[] = [
    ['zero connections', { connections: 0 }],
    ['too many connections', { connections: 10_001 }],
    ['a fractional number of connections', { connections: 1.5 }],
    ['a zero duration', { durationMs: 0 }],
    ['a duration above one hour', { durationMs: 3_600_001 }],
    ['a zero rate', { perSecond: 0 }],
    ['a rate above 1,000,000 per second', { perSecond: 1_000_001 }],
    ['zero requests', { requests: 0 }],
    ['a zero size', { size: 0 }],
    ['a size above 1 MiB', { size: 1024 * 1024 + 1 }],
    ['a size too large for a datagram', { size: 65_508, udp: true }],
    ['a rate for a flow', { service: 'discard', perSecond: 1 }],
    ['a request count for a flow', { service: 'chargen', requests: 1 }],
    ['an unsupported service', { service: 'tcpmux' as LoadService }],
  ];
  it.each(cases)('are rejected with %s', async (_what, options) => {
    await expect(load('127.0.0.1:9', options)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', exitCode: 64 });
  });

  it.each<[LoadOptions, string]>([
    [{ connections: 0 }, 'the number of connections is 0: expected 1 to 10000'],
    [{ durationMs: 0 }, 'the duration is 0s: expected 1ms to 1h'],
    [{ durationMs: 7_200_000 }, 'the duration is 2h: expected 1ms to 1h'],
    [{ perSecond: 0 }, 'the rate is 0 requests per second: expected above 0 and up to 1000000'],
    [{ requests: 0 }, 'the number of requests is 0: expected a whole number of at least 1'],
    [{ requests: 1.5 }, 'the number of requests is 1.5: expected a whole number of at least 1'],
    [{ size: 65_508, udp: true }, 'the size is 65508 bytes: 127.0.0.1 takes at most 65507 bytes over IPv4'],
  ])('are quoted in the error: %j', async (options, message) => {
    await expect(load('127.0.0.1:9', options)).rejects.toMatchObject({ message });
  });
});
