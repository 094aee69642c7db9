import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until } from '../../../support/wait.ts';

const listen = ['tcp://127.0.0.1:0'];
const fromHere = { from: ['127.0.0.0/8'] };
const header = 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 7\r\n';

/** Version 2 of the same: TCP over IPv4. */
const binaryHeader = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000207c63364019c400007', 'hex');

function tcp4(address: string): string {
  return `PROXY TCP4 ${address} 198.51.100.1 40000 7\r\n`;
}

function tcp6(address: string): string {
  return `PROXY TCP6 ${address} 2001:db8::1 40000 7\r\n`;
}

/** Starts one service named after its kind, which takes the word of proxies. */
function serveOne(type: string, config: object = {}): Promise<TestDaemon> {
  return serve({ [type]: { listen, proxyProtocol: fromHere, ...config } });
}

async function connect(daemon: TestDaemon, service: string, localAddress = '127.0.0.1'): Promise<TcpClient> {
  return TcpClient.connect({ ...daemon.target(service, 'tcp'), localAddress });
}

/** What a connection gets that sends this and ends. */
async function answerTo(daemon: TestDaemon, service: string, bytes: string | Buffer): Promise<string> {
  const client = await connect(daemon, service);
  client.write(bytes);
  client.socket.end();
  await until(() => client.ended || client.closed, 'the end of the answer');
  return client.text;
}

/** What the summaries say when the daemon has closed. */
async function refusedWhenClosed(daemon: TestDaemon): Promise<Record<string, number>> {
  await daemon.close(0);
  return daemon.log.summed('refused');
}

describe('the client in a header', () => {
  it.each([
    ['version 1', header],
    ['version 2', binaryHeader],
  ])('is logged together with the proxy: %s', async (_version, bytes) => {
    const daemon = await serveOne('echo');
    const client = await connect(daemon, 'echo');
    client.write(bytes);
    client.write('hello');
    await client.take(5);
    client.socket.end();
    const line = await daemon.log.closing('192.0.2.7:40000');
    expect(line).toMatchObject({ via: client.name, bytesIn: 5, bytesOut: 5, reason: 'completed' });
    expect(line['local']).toBe(`127.0.0.1:${daemon.target('echo', 'tcp').port}`);
  });

  it.each([
    ['PROXY UNKNOWN\r\n'],
    ['PROXY UNKNOWN ffff::1 whatever\r\n'],
    [Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')],
  ])('is the proxy itself if the header has no address: %j', async (bytes) => {
    const daemon = await serveOne('echo');
    const client = await connect(daemon, 'echo');
    client.write(bytes);
    client.write('hello');
    await client.take(5);
    client.socket.end();
    expect(await daemon.log.closing(client.name)).toMatchObject({ via: client.name, bytesIn: 5 });
  });

  it('is subject to the rules and limits', async () => {
    const daemon = await serveOne('echo', { deny: ['192.0.2.7'], maxConnectionsPerSource: 1 });
    expect(await answerTo(daemon, 'echo', `${header}hello`)).toBe('');
    const other = 'PROXY TCP4 192.0.2.8 198.51.100.1 40000 7\r\n';
    const first = await connect(daemon, 'echo');
    first.write(`${other}x`);
    await first.take(1);
    expect(await answerTo(daemon, 'echo', `${other}hello`)).toBe('');
    expect(await answerTo(daemon, 'echo', 'PROXY TCP4 192.0.2.9 198.51.100.1 40000 7\r\nhello')).toBe('hello');
    expect(await refusedWhenClosed(daemon)).toEqual({ denied: 1, 'source-limit': 1 });
  });

  it.each([
    ['not exempt by default: loopback', {}, [], tcp4('127.0.0.1'), 1],
    ['not exempt by default: loopback in IPv6', {}, [], tcp6('::1'), 1],
    ['not exempt by default: IPv4-mapped loopback', {}, [], tcp6('::ffff:127.0.0.1'), 1],
    ['not exempt if only `exempt` contains its address', {}, ['127.0.0.1', '192.0.2.7'], tcp4('192.0.2.7'), 1],
    ['not exempt if only the proxy is', {}, ['127.0.0.1'], tcp4('192.0.2.7'), 1],
    ['exempt if `proxyProtocol.exempt` contains its address', { exempt: ['192.0.2.7'] }, [], tcp4('192.0.2.7'), 2],
    ['not exempt through the proxy if the header has no address', {}, ['127.0.0.1'], 'PROXY UNKNOWN\r\n', 1],
    [
      'exempt if the header has no address and the list contains the proxy',
      { exempt: ['127.0.0.1'] },
      [],
      'PROXY UNKNOWN\r\n',
      2,
    ],
  ])('is %s', async (_rule, rules, exempt, head, served) => {
    const proxyProtocol = { ...fromHere, ...rules };
    const daemon = await serveOne('echo', { maxConnectionsPerSource: 1, exempt, proxyProtocol });
    const clients = [await connect(daemon, 'echo'), await connect(daemon, 'echo')];
    for (const client of clients) {
      client.write(`${head}x`);
      await until(() => client.length > 0 || client.ended || client.closed, 'an answer or a refusal');
    }
    expect(clients.filter(({ length }) => length > 0)).toHaveLength(served);
  });
});

describe('data after a header', () => {
  it('reaches the service when sent byte by byte', async () => {
    const daemon = await serveOne('echo');
    const client = await connect(daemon, 'echo');
    client.socket.setNoDelay(true);
    for (const byte of `${header}hello`) {
      client.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.take(5);
    expect(client.text).toBe('hello');
    client.write(' more');
    await client.take(10);
    expect(client.text).toBe('hello more');
  });

  it('is echoed completely when large and sent with the header', async () => {
    const daemon = await serveOne('echo');
    const bytes = Buffer.alloc(300_000, 'abcdefg');
    expect(await answerTo(daemon, 'echo', Buffer.concat([Buffer.from(header), bytes]))).toBe(bytes.toString());
  });

  it('may be empty', async () => {
    const daemon = await serveOne('echo');
    expect(await answerTo(daemon, 'echo', header)).toBe('');
    expect(await daemon.log.closing('192.0.2.7:40000')).toMatchObject({ reason: 'completed', bytesIn: 0 });
  });

  it('is ignored by a service that answers immediately', async () => {
    const daemon = await serveOne('time');
    const client = await connect(daemon, 'time');
    client.write(`${header}ignored`);
    await until(() => client.ended, 'the answer');
    expect(client.length).toBe(4);
    client.socket.end();
    expect(await daemon.log.closing('192.0.2.7:40000')).toMatchObject({ reason: 'completed', bytesOut: 4 });
  });
});

describe('refused as proxy-header', () => {
  it.each([
    ['data that is not a header', 'hello\r\n'],
    ['a malformed header', 'PROXY TCP4 192.0.2.700 198.51.100.1 40000 7\r\n'],
    ['a header with a multicast source', 'PROXY TCP4 224.0.0.1 198.51.100.1 40000 7\r\n'],
    // Inside, these two stand for a UNIX user and an IPv4 address.
    ['a header with the source of a UNIX user', 'PROXY TCP6 ffff:fffe:0:4d2:: 2001:db8::1 40000 7\r\n'],
    ['a header with an IPv4 source in disguise', 'PROXY TCP6 ffff:ffff:c000:201:: 2001:db8::1 40000 7\r\n'],
    ['a truncated header', 'PROXY TCP4 192.0.2.7'],
    ['an empty connection', ''],
  ])('%s', async (_what, bytes) => {
    const daemon = await serveOne('echo');
    expect(await answerTo(daemon, 'echo', bytes)).toBe('');
    expect(await refusedWhenClosed(daemon)).toEqual({ 'proxy-header': 1 });
    expect(daemon.log.closed()).toEqual([]);
  });

  it('a header that times out', async () => {
    const daemon = await serveOne('echo', { proxyProtocol: { ...fromHere, timeout: '50ms' } });
    const client = await connect(daemon, 'echo');
    client.write('PROXY ');
    await until(() => client.ended || client.closed, 'the end');
    expect(await refusedWhenClosed(daemon)).toEqual({ 'proxy-header': 1 });
  });

  it('a reset before the header is complete', async () => {
    const daemon = await serveOne('echo');
    const client = await connect(daemon, 'echo');
    client.write('PROXY ');
    client.socket.resetAndDestroy();
    expect(await answerTo(daemon, 'echo', `${header}x`)).toBe('x');
    expect(await refusedWhenClosed(daemon)).toEqual({ 'proxy-header': 1 });
  });

  it('a valid header from an untrusted peer', async () => {
    const daemon = await serveOne('echo', { proxyProtocol: { from: ['127.0.0.2'] } });
    expect(await answerTo(daemon, 'echo', `${header}hello`)).toBe('');
    const proxy = await connect(daemon, 'echo', '127.0.0.2');
    proxy.write(`${header}hello`);
    await proxy.take(5);
    expect(await refusedWhenClosed(daemon)).toEqual({ 'proxy-header': 1 });
  });
});

it('connections waiting for a header count toward maxConnections', async () => {
  const daemon = await serveOne('echo', { maxConnections: 2 });
  const silent = [await connect(daemon, 'echo'), await connect(daemon, 'echo')];
  expect(await answerTo(daemon, 'echo', `${header}hello`)).toBe('');
  silent[0]?.write(`${header}x`);
  await silent[0]?.take(1);
  expect(await answerTo(daemon, 'echo', `${header}hello`)).toBe('');
  silent[1]?.socket.end();
  await until(() => silent[1]?.ended === true, 'the place to be free');
  expect(await answerTo(daemon, 'echo', `${header}hello`)).toBe('hello');
});

it('UNIX listeners pass a header through as data', async () => {
  const path = join(temporaryDirectory(), 'echo.sock');
  await serve({ echo: { listen: [`unix://${path}`, 'tcp://127.0.0.1:0'], proxyProtocol: fromHere } });
  const client = await TcpClient.connect({ path });
  client.write(header);
  await client.take(header.length);
  expect(client.text).toBe(header);
});

it('shutdown waits for connections without a header, then closes them without counting a refusal', async () => {
  const daemon = await serveOne('echo', { proxyProtocol: { ...fromHere, timeout: '1m' } });
  const silent = await connect(daemon, 'echo');
  const late = await connect(daemon, 'echo');
  // Connections are accepted in their order.
  expect(await answerTo(daemon, 'echo', `${header}x`)).toBe('x');
  const closed = daemon.close(2000);
  late.write(`${header}hello`);
  await late.take(5);
  late.socket.end();
  await closed;
  await until(() => silent.closed || silent.ended, 'the end of the silent one');
  expect(daemon.log.closed('192.0.2.7:40000')).toHaveLength(2);
  expect(daemon.log.summed('refused')).toEqual({});
});

describe('a proxy whose connections send no header', () => {
  it('makes room for other proxies once they leave no place', async () => {
    const daemon = await serveOne('echo', { maxConnections: 4 });
    const silent = [];
    for (let count = 0; count < 4; count += 1) silent.push(await connect(daemon, 'echo', '127.0.0.2'));
    const other = await connect(daemon, 'echo', '127.0.0.3');
    other.write(`${header}hello`);
    await other.take(5);
    // The one that has waited longest.
    await silent[0]?.cut();
    expect(silent.slice(1).every(({ ended, closed }) => !ended && !closed)).toBe(true);
    expect(await refusedWhenClosed(daemon)).toEqual({ 'proxy-header': 1 });
  });

  it('makes room at the other listeners of the service, too', async () => {
    const path = join(temporaryDirectory(), 'echo.sock');
    const addresses = ['tcp://127.0.0.1:0', 'tcp://127.0.0.4:0', `unix://${path}`];
    const daemon = await serveOne('echo', { listen: addresses, maxConnections: 4 });
    const silent = [];
    for (let count = 0; count < 4; count += 1) silent.push(await connect(daemon, 'echo', '127.0.0.2'));
    const other = await TcpClient.connect({
      ...daemon.target('echo', 'tcp', '127.0.0.4'),
      localAddress: '127.0.0.3',
    });
    other.write(`${header}hello`);
    await other.take(5);
    await silent[0]?.cut();
    const local = await TcpClient.connect({ path });
    local.write('hello');
    await local.take(5);
    await silent[1]?.cut();
    expect(silent.slice(2).every(({ ended, closed }) => !ended && !closed)).toBe(true);
  });

  it('makes no room for more of its own', async () => {
    const daemon = await serveOne('echo', { maxConnections: 2 });
    const silent = [await connect(daemon, 'echo', '127.0.0.2'), await connect(daemon, 'echo', '127.0.0.2')];
    await (await connect(daemon, 'echo', '127.0.0.2')).cut();
    expect(silent.every(({ ended, closed }) => !ended && !closed)).toBe(true);
    expect(await refusedWhenClosed(daemon)).toEqual({ limit: 1 });
  });
});
