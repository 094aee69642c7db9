import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { head } from '../../../src/client/head.ts';
import { hasIpv6 } from '../../support/daemon.ts';
import { AskedClock } from '../../support/asked-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fakeTcpServer } from '../../support/fake-servers.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/wait.ts';

interface WebServer {
  readonly port: number;
  readonly requests: IncomingMessage[];
}

/** Node's own server, which keeps to the standard. */
async function webServer(host = '127.0.0.1'): Promise<WebServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.statusCode = request.url === '/' ? 200 : 404;
    response.setHeader('X-Twice', ['one', 'two']);
    response.end('a body, which is not sent');
  }).listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as { port: number }).port, requests };
}

/** Answers each request with this text and its end. */
async function answering(
  text: string,
  finish: (socket: Socket) => void = (socket) => void socket.end(),
): Promise<string> {
  const { name } = await fakeTcpServer((socket) => {
    socket.once('data', () => socket.write(text, 'latin1', () => finish(socket)));
  });
  return name;
}

/** The clock is asked when a request begins, resolves, connects, waits, and when the answer has come. */
const askedWithAnswer = 5;

describe('head against a real server', () => {
  test('returns the status line, the headers and the raw text', async () => {
    const { port, requests } = await webServer();
    const answer = await head(`127.0.0.1:${port}`);
    expect(answer.statusLine).toBe('HTTP/1.1 200 OK');
    expect(answer.headers.slice(0, 2)).toEqual([
      { name: 'X-Twice', value: 'one' },
      { name: 'X-Twice', value: 'two' },
    ]);
    expect(answer.headers).toContainEqual({ name: 'Connection', value: 'close' });
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:[\w-]+: .*\r\n)+\r\n$/);
    expect([answer.fault, answer.peer]).toEqual([undefined, { address: '127.0.0.1', port }]);
    expect(requests.map(({ method, url, headers }) => [method, url, headers.host, headers.connection])).toEqual([
      ['HEAD', '/', `127.0.0.1:${port}`, 'close'],
    ]);
  });

  test('requests the given path', async () => {
    const { port, requests } = await webServer();
    const answer = await head(`localhost:${port}`, { family: 'ipv4', path: '/a%20b/~c?d=e&f' });
    expect([answer.statusLine, answer.fault]).toEqual(['HTTP/1.1 404 Not Found', undefined]);
    expect(requests.map(({ url, headers }) => [url, headers.host])).toEqual([['/a%20b/~c?d=e&f', `localhost:${port}`]]);
  });

  test.each(hasIpv6 ? ['::1'] : [])('puts the IPv6 host %s in brackets', async (host) => {
    const { port, requests } = await webServer(host);
    expect((await head(`[${host}]:${port}`)).fault).toBeUndefined();
    expect(requests[0]?.headers.host).toBe(`[${host}]:${port}`);
  });
});

test('sends the expected request, byte for byte', async () => {
  let request = '';
  const { name } = await fakeTcpServer((socket) => {
    socket.on('data', (chunk) => {
      request += String(chunk);
      if (request.endsWith('\r\n\r\n')) socket.end('HTTP/1.0 204 No Content\r\n\r\n');
    });
  });
  expect((await head(name)).statusLine).toBe('HTTP/1.0 204 No Content');
  expect(request).toBe(`HEAD / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
});

describe('the path', () => {
  test.each(['', 'index.html', '/a b', '/a\r\nX: y', '/a\n', '/\t', '/a#b', '/ä', '/\u007f', '*'])(
    '%j is rejected before anything is sent',
    async (path) => {
      // Nobody listens there.
      const found = head(`127.0.0.1:${await freePort()}`, { path });
      await expect(found).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', exitCode: 64 });
    },
  );
});

describe('a response', () => {
  const ok = 'HTTP/1.1 200 OK';

  test.each([
    ['with CRLF', `${ok}\r\nA: b\r\n\r\n`],
    ['with LF only', `${ok}\nA: b\n\n`],
    ['with spaces around the value', `${ok}\r\nA: \t b \t\r\n\r\n`],
    ['with an unexpected body', `${ok}\r\nA: b\r\n\r\nbody\r\n\r\nmore`],
    ['after an interim response', `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}\r\nA: b\r\n\r\n`],
  ])('%s is accepted', async (_how, text) => {
    const answer = await head(await answering(text));
    expect(answer).toMatchObject({ text, statusLine: ok, headers: [{ name: 'A', value: 'b' }] });
    expect(answer.fault).toBeUndefined();
  });

  test('without a reason phrase or headers is accepted', async () => {
    const answer = await head(await answering('HTTP/1.1 200\r\n\r\n'));
    expect(answer).toMatchObject({ statusLine: 'HTTP/1.1 200', headers: [] });
    expect(answer.fault).toBeUndefined();
  });

  test('is valid even if the server resets the connection after it', async () => {
    const clock = new AskedClock();
    let client: Socket | undefined;
    const name = await answering(`${ok}\r\n\r\n`, (socket) => {
      client = socket;
    });
    const answer = head(name, { clock });
    // A reset that comes before its bytes have been read takes them along.
    await until(() => clock.asked === askedWithAnswer, 'the answer');
    client?.resetAndDestroy();
    expect(await answer).toMatchObject({ statusLine: ok, fault: undefined });
  });

  test.each([
    ['SSH-2.0-OpenSSH_9.2\r\n', undefined, 'the response is not HTTP'],
    ['\u0015\u0003\u0001\u0000\u0002\u0002\u0016', undefined, 'the response is not HTTP'],
    ['HTTP/1.1 OK\r\n\r\n', undefined, 'the response is not HTTP'],
    ['', undefined, 'the connection ended without a response'],
    ['HTTP/1.1 20', undefined, 'incomplete response header: the connection ended'],
    [`${ok}\r\n`, ok, 'incomplete response header: the connection ended'],
    [`${ok}\r\nA: b\r\nC: `, ok, 'incomplete response header: the connection ended'],
    [`${ok}\r\nno header\r\n\r\n`, ok, 'malformed header line in the response: "no header"'],
    [`${ok}\r\nA : b\r\n\r\n`, ok, 'malformed header line in the response: "A : b"'],
  ])('of %j is reported as faulty', async (text, statusLine, fault) => {
    const answer = await head(await answering(text));
    expect(answer).toMatchObject({ text, fault });
    expect(answer.statusLine).toBe(statusLine);
  });

  test('without an end is cut off at 64 KiB', async () => {
    const name = await answering(`${ok}\r\n${'A: b\r\n'.repeat(20_000)}`);
    const answer = await head(name);
    expect([answer.text.length, answer.fault]).toEqual([64 * 1024, 'incomplete response header: longer than 64 KiB']);
  });
});

describe('a server that does not close the connection', () => {
  test.each([
    ['HTTP/1.1 200 OK\r\n\r\n', 'response complete, but the connection did not close in time'],
    ['HTTP/1.1 200 OK\r\nA: b', 'incomplete response header: nothing more arrived in time'],
  ])('is reported after %j', async (text, fault) => {
    const clock = new AskedClock();
    const answer = head(await answering(text, () => {}), { clock });
    await until(() => clock.asked === askedWithAnswer, 'the answer');
    clock.advance(5000);
    expect(await answer).toMatchObject({ text, fault });
  });

  test('is an error if it sends nothing', async () => {
    const clock = new FakeClock();
    let isAsked = false;
    const { name } = await fakeTcpServer((socket) => {
      socket.once('data', () => {
        isAsked = true;
      });
    });
    const answer = head(name, { clock });
    await until(() => isAsked, 'the request');
    clock.advance(5000);
    const message = `${name}: no data within 5s`;
    await expect(answer).rejects.toMatchObject({ code: 'NO_ANSWER', exitCode: 1, message });
  });
});

test('fails if the port is closed', async () => {
  const port = await freePort();
  const message = `cannot connect to 127.0.0.1:${port}: connection refused`;
  await expect(head(`127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'CONNECT_FAILED', exitCode: 2, message });
});

test('a header line that would take a backtracking parser days is parsed at once', async () => {
  const blanks = ' '.repeat(15_000);
  const host = await answering(`HTTP/1.1 200 OK\r\na:${blanks}\rx\r\nb: ${blanks}x${blanks} \r\n\r\n`);
  const { fault, headers } = await head(host);
  expect(fault).toMatch(/^malformed header line in the response: "a: +"$/);
  expect(headers).toEqual([{ name: 'b', value: 'x' }]);
});

test('thousands of interim responses are skipped without recursion', async () => {
  const host = await answering(`${'HTTP/1.1 100\n\n'.repeat(4000)}HTTP/1.1 204 No Content\r\nA: b\r\n\r\n`);
  expect(await head(host)).toMatchObject({
    statusLine: 'HTTP/1.1 204 No Content',
    headers: [{ name: 'A', value: 'b' }],
  });
});
