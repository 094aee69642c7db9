import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type ListenOptions } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AdminPages, type Page } from '../../../../src/server/admin/pages.ts';
import { AdminServer } from '../../../../src/server/admin/server.ts';
import type { Past } from '../../../../src/server/admin/live.ts';
import type { AdminSource, Live } from '../../../../src/server/admin/live.ts';
import type { FaultChange, FaultResult, Snapshot } from '../../../../src/server/admin/snapshot.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until } from '../../../support/wait.ts';
import { pageAssets } from '../../../../src/server/admin/page-assets.ts';
import { pageSource } from './live.ts';
import { snapshot } from './snapshot.ts';

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

class Endpoint {
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  static async open(changes: Partial<Snapshot> = {}, hosts: readonly string[] = []): Promise<Endpoint> {
    const source = { ...pageSource, snapshot: async () => snapshot(changes), config: async () => ({ workers: 2 }) };
    const server = new AdminServer(source, hosts);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    return new Endpoint(server.port ?? 0);
  }

  async ask(path: string, host: string | undefined = 'localhost', method = 'GET'): Promise<Answer> {
    const asked = request({ port: this.#port, path, method, headers: { host }, agent: false }).end();
    const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
    let body = '';
    for await (const part of response.setEncoding('utf8')) body += String(part);
    return { status: response.statusCode, type: response.headers['content-type'], body };
  }

  /** Sends these bytes as they are, and gives all that comes back. */
  async send(bytes: string): Promise<string> {
    const socket = connect(this.#port, '127.0.0.1').setEncoding('latin1');
    let text = '';
    socket.on('data', (more: string) => {
      text += more;
    });
    socket.on('error', () => {});
    socket.end(bytes);
    await once(socket, 'close');
    return text;
  }
}

describe('POST /faults/SERVICE', () => {
  const changes: FaultChange[] = [];

  async function open(answer: () => Promise<FaultResult>): Promise<Endpoint> {
    changes.length = 0;
    const changeFaults = async (change: FaultChange): Promise<FaultResult> => {
      changes.push(change);
      return answer();
    };
    const server = new AdminServer({ ...quick(), changeFaults }, ['admin.example']);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    return new Endpoint(server.port ?? 0);
  }

  it('changes faults where that is allowed', async () => {
    const endpoint = await open(async () => ({ faults: { loss: 0.2 } }));
    const answer = await endpoint.ask('/faults/echo?loss=0.2&delay.time=5ms&for=5m', 'localhost', 'POST');
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { faults: { loss: 0.2 } }]);
    await endpoint.ask('/faults/echo', 'localhost', 'POST');
    expect(changes).toEqual([
      { service: 'echo', faults: { loss: '0.2', 'delay.time': '5ms' }, forTime: '5m' },
      { service: 'echo', faults: {}, forTime: null },
    ]);
  });

  it('says on one line what is wrong, without control characters', async () => {
    const endpoint = await open(async () => ({ problem: 'no \u001b[31m, \n no' }));
    const { status, body } = await endpoint.ask('/faults/echo?loss=2', 'localhost', 'POST');
    expect(status).toBe(400);
    // oxlint-disable-next-line no-control-regex
    expect(body).toMatch(/^[^\u0000-\u001f]+\n$/);
  });

  it('refuses more keys than there are faults', async () => {
    const endpoint = await open(async () => ({ faults: {} }));
    const query = Array.from({ length: 100 }, (_, index) => `k${index}=1`).join('&');
    expect(await endpoint.ask(`/faults/echo?${query}&one=more`, 'localhost', 'POST')).toMatchObject({
      status: 400,
      body: 'more than 100 keys\n',
    });
    expect(changes).toEqual([]);
    expect(await endpoint.ask(`/faults/echo?for=1s&${query}`, 'localhost', 'POST')).toMatchObject({ status: 200 });
    expect(changes).toHaveLength(1);
  });

  it('is refused beyond twenty a second, before the supervisor is asked', async () => {
    const clock = new FakeClock();
    const source = { ...quick(), changeFaults: async (change: FaultChange) => (changes.push(change), { faults: {} }) };
    changes.length = 0;
    const pages = new AdminPages(source, [], clock);
    const post = async (): Promise<Page> =>
      pages.answer({ method: 'POST', target: '/faults/echo?loss=1', host: 'localhost' });
    const answers = await Promise.all(Array.from({ length: 300 }, post));
    expect(answers.map(({ status }) => status)).toEqual(answers.map((_, at) => (at < 20 ? 200 : 503)));
    expect(answers.at(-1)?.body.toString()).toBe('more than 20 changes of faults a second, try again\n');
    clock.advance(50);
    expect([(await post()).status, (await post()).status, changes.length]).toEqual([200, 503, 21]);
  });

  it('is refused elsewhere, under a foreign name, and without the supervisor', async () => {
    const reading = await Endpoint.open();
    expect(await reading.ask('/faults/echo?loss=1', 'localhost', 'POST')).toMatchObject({ status: 403 });
    const endpoint = await open(async () => {
      throw new Error('gone');
    });
    expect(await endpoint.ask('/faults/echo?loss=1', 'evil.example', 'POST')).toMatchObject({ status: 421 });
    expect(changes).toEqual([]);
    expect(await endpoint.ask('/faults/echo?loss=1', 'localhost', 'POST')).toMatchObject({ status: 503 });
    // Nothing is changed by reading.
    expect(await endpoint.ask('/faults/echo?loss=1')).toMatchObject({ status: 404 });
    expect(changes).toHaveLength(1);
  });

  it.each([
    ['localhost:9013', 'Sec-Fetch-Site: cross-site', 403],
    ['localhost:9013', 'Sec-Fetch-Site: same-site', 403],
    ['localhost:9013', 'Sec-Fetch-Site: none', 403],
    ['localhost:9013', 'sec-fetch-site: cross-site\r\nOrigin: http://localhost:9013', 403],
    ['localhost:9013', 'Sec-Fetch-Site: same-origin\r\nOrigin: http://evil.example', 403],
    ['localhost:9013', 'Origin: http://evil.example', 403],
    ['localhost:9013', 'Origin: http://localhost', 403],
    ['localhost:9013', 'Origin: http://localhost:8080', 403],
    ['localhost:9013', 'Origin: http://localhost:9013.evil.example', 403],
    ['localhost:9013', 'Origin: null', 403],
    ['localhost:9013', 'Origin:', 403],
    ['localhost:9013', 'Origin: file://', 403],
    ['localhost:9013', 'Origin: moz-extension://localhost', 403],
    ['localhost:9013', 'Origin: http://localhost:9013', 200],
    ['localhost:9013', 'Sec-Fetch-Site: same-origin\r\nOrigin: http://LOCALHOST:9013', 200],
    ['localhost:9013', 'Sec-Fetch-Site: same-origin', 200],
    ['[::1]:9013', 'Origin: http://[0:0::1]:9013', 200],
    ['admin.example', 'Origin: https://admin.example', 200],
    ['admin.example:443', 'Origin: https://admin.example', 200],
    // Programs send neither.
    ['localhost:9013', 'Accept: */*', 200],
  ])('from %s with %j gets %i, so that no page of another site changes faults', async (host, field, status) => {
    const endpoint = await open(async () => ({ faults: {} }));
    const answer = await endpoint.send(`POST /faults/echo?loss=1 HTTP/1.1\r\nHost: ${host}\r\n${field}\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    if (status === 403) expect(answer).toMatch(/\r\n\r\nweb pages of other sites must not change faults/);
    expect(changes).toHaveLength(status === 200 ? 1 : 0);
  });
});

describe('routes', () => {
  it('/livez is ok even if the daemon is not ready', async () => {
    const endpoint = await Endpoint.open({ notReady: ['starting'] });
    expect(await endpoint.ask('/livez')).toMatchObject({ status: 200, body: 'ok\n' });
  });

  it('/readyz tells whether the daemon is ready, or why not', async () => {
    expect(await (await Endpoint.open()).ask('/readyz')).toMatchObject({ status: 200, body: 'ok\n' });
    const notReady = ['echo tcp://127.0.0.1:1201 is not open', 'more'];
    expect(await (await Endpoint.open({ notReady })).ask('/readyz')).toMatchObject({
      status: 503,
      body: 'not ready: echo tcp://127.0.0.1:1201 is not open; more\n',
    });
  });

  it('/metrics uses the Prometheus text format', async () => {
    const { status, type, body } = await (await Endpoint.open()).ask('/metrics?name[]=x');
    expect({ status, type }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' });
    expect(body).toContain('# TYPE smallservd_ready gauge\nsmallservd_ready 1\n');
  });

  it('/status and /config are JSON', async () => {
    const endpoint = await Endpoint.open();
    const { type, body } = await endpoint.ask('/status');
    expect(type).toBe('application/json; charset=utf-8');
    expect(JSON.parse(body)).toEqual(JSON.parse(JSON.stringify(snapshot())));
    expect(JSON.parse((await endpoint.ask('/config')).body)).toEqual({ workers: 2 });
  });

  it('/status has no character that a terminal would obey, and still means the same', async () => {
    const notReady = ['\u009b31m', '\u007f', '\u202e'];
    const { body } = await (await Endpoint.open({ notReady })).ask('/status');
    expect(body).toMatch(/^[\n -~–]*$/);
    expect(JSON.parse(body)).toMatchObject({ notReady });
  });

  it('any other path gets a 404', async () => {
    const endpoint = await Endpoint.open();
    for (const path of ['/nothing', '/status/', '//status', '/../etc/passwd', '/%2e%2e/config', '/reload'])
      expect(await endpoint.ask(path), path).toMatchObject({ status: 404 });
    expect((await endpoint.ask('/')).body).toContain('/metrics');
  });
});

describe('the page', () => {
  it('is served with its files, under a policy that allows them alone', async () => {
    const { where } = await serve(quick());
    for (const { path, type, body } of pageAssets) {
      const answer = await answerTo(where, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      const [header = '', content] = answer.split('\r\n\r\n', 2);
      expect(header).toContain(`\r\nContent-Type: ${type}\r\n`);
      expect(header).toContain(
        "\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; ",
      );
      expect(header).toContain("; require-trusted-types-for 'script'; trusted-types 'none'\r\n");
      expect(header).not.toContain('unsafe');
      expect(content?.slice(0, 50), path).toBe(body.toString('latin1').slice(0, 50));
    }
    const endpoint = await Endpoint.open();
    for (const { path } of pageAssets) {
      expect(await endpoint.ask(path, 'evil.example'), path).toMatchObject({ status: 421 });
      expect(await endpoint.ask(path, 'localhost', 'POST'), path).toMatchObject({ status: 405 });
    }
  });

  it('gets events until it is closed', async () => {
    const clock = new FakeClock();
    const { server, where } = await serve(quick(), clock);
    const page = await openPage(where);
    const [header = '', events = ''] = page.text.split('\r\n\r\n', 2);
    expect(header).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(header).toContain('\r\nContent-Type: text/event-stream\r\n');
    expect(header).toContain('\r\nX-Accel-Buffering: no');
    expect(header).not.toContain('Content-Length');
    expect(events).toMatch(/^event: past\ndata: \{.*\}\n\nevent: status\n/);
    // No deadline of an answer applies.
    clock.advance(3_600_000);
    await turns();
    expect([page.ended, server.clients]).toEqual([false, 1]);
    page.finish();
    await until(() => server.clients === 0, 'the end of the connection');
    expect(clock.waiting).toBe(0);
  });

  it('gets no events with HEAD, or under a foreign name, and displaces the first one if it is one too many', async () => {
    const { server, where } = await serve(quick(), new FakeClock());
    const header = /^HTTP\/1\.1 200 [^]*\r\nContent-Type: text\/event-stream\r\n[^]*\r\n\r\n$/;
    expect(await answerTo(where, 'HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n')).toMatch(header);
    expect(await answerTo(where, 'GET /events HTTP/1.1\r\nHost: evil.example\r\n\r\n')).toMatch(/^HTTP\/1\.1 421 /);
    await until(() => server.clients === 0, 'the end of these');
    const [first] = [await openPage(where), await openPage(where), await openPage(where), await openPage(where)];
    await openPage(where);
    await until(() => first.closed, 'the end of the first');
    // They do not take the places of others.
    const others: TcpClient[] = [];
    while (others.length < 24) others.push(await TcpClient.connect(where));
    await until(() => server.clients === 28, 'the others');
    expect(others.filter(({ ended }) => ended)).toEqual([]);
    expect(await answerTo(where, live)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each([
    ['cross-site', 403],
    ['same-site', 403],
    ['same-origin', 200],
    ['none', 200],
  ])('that a browser calls %s gets %i for its events', async (site, status) => {
    const { where } = await serve(quick());
    const head = `HEAD /events HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: ${site}\r\n\r\n`;
    expect(await answerTo(where, head)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(await answerTo(where, head.replace('/events', '/status'))).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('is not shown in a frame, as no answer is', async () => {
    const { where } = await serve(quick());
    for (const path of ['/', '/events', '/status', '/livez', '/nothing'])
      expect(await answerTo(where, `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).toMatch(
        /\r\nContent-Security-Policy: ([^\r]+; )?frame-ancestors 'none'(;|\r\n)/,
      );
  });

  it('ends if the client sends FIN before the stream begins', async () => {
    const { server, where } = await serve(quick());
    const client = await TcpClient.connect(where);
    client.finish(events);
    await until(() => server.clients === 0, 'the end of the connection');
  });

  it('is cut if it does not read for 5 s', async () => {
    const clock = new FakeClock();
    // More than a socket's buffers take at once, and different each time.
    let count = 0;
    const source = {
      ...quick(),
      async live() {
        count += 1;
        const log = [{ level: 'warn', time: undefined, message: `${count}`.padEnd(2 ** 24, 'x'), fields: {} }];
        return { ...(await pageSource.live()), log };
      },
    };
    const { server, where } = await serve(source, clock);
    const page = await TcpClient.connect(where, { reads: false });
    page.write(events);
    await until(() => page.socket.readableLength > 0, 'the first events');
    // Besides its deadline and the next events, only a piece that waits for its turn is due.
    await until(() => clock.waiting > 2, 'the first turn');
    let waitedAtMs = clock.nowMs;
    while (server.clients > 0) {
      clock.advance(1);
      await turns();
      if (clock.waiting > 2) waitedAtMs = clock.nowMs;
    }
    expect(clock.nowMs - waitedAtMs).toBe(1 + 5000);
    expect(clock.waiting).toBe(0);
  });
});

describe('requests', () => {
  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])('with %s get a 405', async (method) => {
    expect(await (await Endpoint.open()).ask('/status', 'localhost', method)).toMatchObject({ status: 405 });
  });

  it('with HEAD get no body', async () => {
    expect(await (await Endpoint.open()).ask('/readyz', 'localhost', 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  it.each(['localhost', 'LOCALHOST:9013', '127.0.0.1:9013', '10.1.2.3', '[::1]:9013', '[fe80::1]', 'Admin.example'])(
    'for host %s are answered',
    async (host) => {
      const endpoint = await Endpoint.open({}, ['admin.example']);
      expect(await endpoint.ask('/status', host)).toMatchObject({ status: 200 });
    },
  );

  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:9013',
    '[localhost]',
    '[::1%25evil.example]',
    '::1%evil.example',
    '[fe80::1%eth0]:9013',
  ])('for host %j are refused, except for probes', async (host) => {
    const endpoint = await Endpoint.open();
    for (const path of ['/status', '/config', '/metrics', '/'])
      expect(await endpoint.ask(path, host), path).toMatchObject({ status: 421 });
    for (const path of ['/livez', '/readyz'])
      expect(await endpoint.ask(path, host), path).toMatchObject({ status: 200 });
  });

  it('after the first on a connection are ignored', async () => {
    const answers = await (await Endpoint.open()).send('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3000));
    expect(answers.split('HTTP/1.1 200 OK')).toHaveLength(2);
  });

  it('are answered even if the client sends FIN first', async () => {
    const source = new AskedSource();
    const { server, where } = await serve(source);
    const client = await TcpClient.connect(where);
    client.finish('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => source.asked.length === 1, 'the question');
    source.answer();
    expect((await client.takeAll()).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    await until(() => server.clients === 0, 'the end of the connection');
  });

  it.each(['\r\n', '\n'])('may arrive byte by byte, with line ending %j', async (end) => {
    const { where } = await serve(quick());
    const client = await TcpClient.connect(where);
    for (const byte of `${end}GET /livez HTTP/1.1${end}Host:\t a ${end}X-Y:${end}${end}`) {
      client.write(byte);
      await new Promise(setImmediate);
    }
    expect((await client.takeAll()).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it('get a 503 if the supervisor does not answer', async () => {
    const { where } = await serve({
      ...pageSource,
      snapshot: async () => Promise.reject(new Error('gone')),
      config: async () => ({}),
    });
    for (const path of ['/livez', '/readyz', '/status', '/metrics'])
      expect(await answerTo(where, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).toMatch(/^HTTP\/1\.1 503 /);
  });
});

/** In place of a method, a field, a path. */
const long = 'x'.repeat(9000);
const fieldsOf = (count: number): string => 'x: y\r\n'.repeat(count);

describe('malformed requests', () => {
  it.each<[string, number, string]>([
    ['nonsense', 400, 'hello\r\n\r\n'],
    ['no target', 400, 'GET\r\n\r\n'],
    ['an empty line', 400, '\r\n\r\n'],
    ['zeros', 400, '\0\0\0'],
    ['a TLS hello', 400, '\x16\x03\x01\x02\x00\x01\x00\x01'],
    ['HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/0.9', 400, 'GET /livez\r\n\r\n'],
    ['a truncated header', 400, 'GET /livez HTTP/1.1\r\nHost: a\r\n'],
    ['no Host', 400, 'GET /livez HTTP/1.1\r\n\r\n'],
    ['two Hosts', 400, 'GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
    ['a line that is not a field', 400, 'GET /livez HTTP/1.1\r\nHost: a\r\nx\r\n\r\n'],
    ['a field without a name', 400, 'GET /livez HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n'],
    ['a space before the colon', 400, 'GET /livez HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a field on two lines', 400, 'GET /livez HTTP/1.1\r\nHost: a\r\nx: y\r\n z\r\n\r\n'],
    ['a control character in a field', 400, 'GET /livez HTTP/1.1\r\nHost: a\r\nx: \x1b\r\n\r\n'],
    ['a bare carriage return', 400, 'GET /livez HTTP/1.1\r\nHost: a\rx: y\r\n\r\n'],
    ['CONNECT', 400, 'CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    [
      'an upgrade, which is ignored',
      200,
      'GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
    ['another method', 405, 'BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a method with a body', 405, 'POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'],
    ['an expectation', 417, 'GET /livez HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\n\r\n'],
    ['an empty Host', 421, 'GET /status HTTP/1.1\r\nHost:\r\n\r\n'],
    ['no Host in HTTP/1.0', 421, 'GET /status HTTP/1.0\r\n\r\n'],
    ['101 fields', 431, `GET /livez HTTP/1.1\r\nHost: a\r\n${fieldsOf(100)}\r\n`],
    ['a long field', 431, `GET /livez HTTP/1.1\r\nHost: a\r\nx: ${long}`],
    ['a long field name', 431, `GET /livez HTTP/1.1\r\nHost: a\r\n${long}`],
    ['a long path', 431, `GET /${long}`],
    ['a long method', 431, long],
    ['endless spaces', 431, `GET /livez HTTP/1.1\r\nHost: a\r\nx:${' '.repeat(9000)}`],
  ])('with %s get status %i, then a close', async (_, status, bytes) => {
    const { server, where } = await serve(quick());
    expect(await answerTo(where, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nConnection: close\r\n`));
    await until(() => server.clients === 0, 'the end of the connection');
    expect(await answerTo(where, live)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each<[string, string]>([
    ['99 fields and Host', `GET /livez HTTP/1.1\r\nHost: a\r\n${fieldsOf(99)}\r\n`],
    ['8192 bytes', `GET /livez HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(8192 - 37)}\r\n\r\n`],
    ['a body', 'GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
    ['an expected body', 'GET /livez HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n'],
  ])('do not include %s', async (_, bytes) => {
    const { where } = await serve(quick());
    expect(await answerTo(where, bytes)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each(['GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n', '\0', long])(
    'get their answer even if the client sends megabytes more (%#)',
    async (start) => {
      const { server, where } = await serve(quick());
      const client = await TcpClient.connect(where);
      client.write(start);
      for (let mebibytes = 0; mebibytes < 8; mebibytes += 1) client.write(Buffer.alloc(2 ** 20));
      expect((await client.takeAll()).toString()).toMatch(/^HTTP\/1\.1 (200|400|431) [^]*\n$/);
      client.finish();
      await client.gone();
      expect(client.error).toBeUndefined();
      await until(() => server.clients === 0, 'the end of the connection');
    },
  );

  it('get no answer if the client sends nothing', async () => {
    const { where } = await serve(quick());
    expect(await answerTo(where, '')).toBe('');
  });
});

describe('deadlines', () => {
  it.each(['', 'GET /livez HTTP/1.1\r\nHost: a\r\nX: '])('allow 2 s for a header: %j', async (bytes) => {
    const clock = new FakeClock();
    const { server, where } = await serve(quick(), clock);
    const client = await TcpClient.connect(where);
    client.write(bytes);
    await until(() => server.clients === 1, 'the connection');
    clock.advance(1000);
    client.write(bytes === '' ? '' : 'y');
    await turns();
    clock.advance(999);
    await turns();
    expect(client.text).toBe('');
    clock.advance(1);
    expect((await client.takeAll()).toString()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  });

  it('allow 5 s for each chunk of an answer to be read', async () => {
    const clock = new FakeClock();
    const { server, where } = await serve(quick('x'.repeat(2 ** 26)), clock);
    const slow = await TcpClient.connect(where, { reads: false });
    slow.write('GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => slow.socket.readableLength > 0, 'the answer');
    // A piece may be on its way: the deadline begins again with each.
    while (server.clients > 0) {
      clock.advance(4999);
      await turns();
      clock.advance(1);
      await turns();
    }
    const taking = await TcpClient.connect(where);
    taking.write('GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n');
    for (let before = -1; !taking.ended; before = taking.length) {
      await until(() => taking.length > before || taking.ended, 'more of the answer');
      clock.advance(1000);
    }
    expect(taking.length).toBeGreaterThan(2 ** 26);
  });

  it('allow 5 s for the source to answer', async () => {
    const clock = new FakeClock();
    const source = new AskedSource();
    const { server, where } = await serve(source, clock);
    const client = await TcpClient.connect(where);
    client.write(live);
    await until(() => source.asked.length === 1, 'the question');
    clock.advance(4999);
    expect(server.clients).toBe(1);
    clock.advance(1);
    await client.cut();
    source.answer();
    await until(() => server.clients === 0, 'the end of the connection');
  });

  it('allow 2 s for a client to close', async () => {
    const clock = new FakeClock();
    const { server, where } = await serve(quick(), clock);
    const client = await TcpClient.connect(where);
    client.write(live);
    await client.takeAll();
    await turns();
    clock.advance(1999);
    client.write('more');
    await turns();
    expect(server.clients).toBe(1);
    clock.advance(1);
    await until(() => server.clients === 0, 'the end of the connection');
    expect(clock.waiting).toBe(0);
  });
});

describe('eviction', () => {
  it('is not delayed by sending a header byte by byte', async () => {
    const { server, where } = await serve(quick());
    const dripping = await TcpClient.connect(where);
    dripping.write('GET /livez HTTP/1.1\r\nX: ');
    await until(() => server.clients === 1, 'the first connection');
    const others: TcpClient[] = [];
    while (others.length < 23) others.push(await TcpClient.connect(where));
    await until(() => server.clients === 24, 'the others');
    dripping.write('y');
    await turns();
    const probe = await TcpClient.connect(where);
    await dripping.cut();
    probe.write(live);
    expect((await probe.takeAll()).toString()).toMatch(/^HTTP\/1\.1 200 /);
    expect(others.filter(({ ended }) => ended)).toEqual([]);
  });
});

describe('snapshots', () => {
  it('are made one at a time, regardless of the number of requests', async () => {
    const source = new AskedSource();
    const clock = new FakeClock();
    const { server, where } = await serve(source, clock);
    const paths = ['/livez', '/readyz', '/status', '/metrics'];
    const ask = async (): Promise<readonly string[]> =>
      Promise.all(
        Array.from({ length: 20 }, async (_, index) =>
          answerTo(where, `GET ${paths[index % 4]} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
        ),
      );
    for (let round = 1; round <= 2; round += 1) {
      const answers = ask();
      await until(() => server.clients === 20, 'all who ask');
      await turns();
      expect(source.asked).toHaveLength(round);
      source.answer();
      for (const answer of await answers) expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      await until(() => server.clients === 0, 'the end of the connections');
      // The answer is too old by then.
      clock.advance(20);
    }
    expect(source.asked).toHaveLength(2);
  });
});

describe('a long answer', () => {
  const config = 'x'.repeat(2 ** 22);

  it('is sent a piece a millisecond, and keeps nobody else waiting', async () => {
    const clock = new FakeClock();
    const { server, where } = await serve(quick(config), clock);
    const [one, other] = [await TcpClient.connect(where), await TcpClient.connect(where)];
    for (const client of [one, other]) client.write('GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => [one, other].every(({ text }) => text.endsWith('\r\n\r\n')), 'the headers');
    const headers = one.length;
    for (const [turn, path] of ['/livez', '/readyz', '/livez'].entries()) {
      expect(await answerTo(where, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
      expect([one.length, other.length]).toEqual([headers + turn * pieceBytes, headers]);
      clock.advance(1);
      await until(() => one.length === headers + (turn + 1) * pieceBytes, 'the next piece');
    }
    while (server.clients > 0) {
      clock.advance(1);
      await turns();
      if (one.ended) one.finish();
      if (other.ended) other.finish();
    }
    for (const { bytes } of [one, other]) expect(bytes.subarray(headers).toString()).toBe(`"${config}"\n`);
  });

  it('of readiness does not wait', async () => {
    const notReady = Array.from({ length: 2000 }, (_, index) => `echo tcp://[2001:db8::${index}]:7 is not open`);
    const source = { ...quick(), snapshot: async () => snapshot({ notReady }) };
    const { where } = await serve(source, new FakeClock());
    const answer = await answerTo(where, 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(answer.length).toBeGreaterThan(pieceBytes);
    expect(answer).toMatch(/^HTTP\/1\.1 503 .*; echo tcp:\/\/\[2001:db8::1999\]:7 is not open\n$/s);
  });

  it('does not go to the kernel while much of it is unsent', async () => {
    const clock = new FakeClock();
    const { server, where } = await serve(quick(config), clock);
    const client = await TcpClient.connect(where, { reads: false });
    const { localPort } = client.socket;
    client.write('GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => clock.waiting === 2, 'the first turn');
    for (let turn = 0; turn < 60; turn += 1) {
      clock.advance(1);
      await turns();
      // A piece is taken while less than half of one is unsent, and what is sent may not be acknowledged yet. Without
      // the limit, all would be taken.
      expect(unacknowledged(server.port, localPort)).toBeLessThanOrEqual(8 * pieceBytes);
    }
    expect(unacknowledged(server.port, localPort)).toBeGreaterThan(0);
  });
});

it('reads what follows a request in turns', async () => {
  const clock = new FakeClock();
  const path = join(temporaryDirectory(), 'admin.sock');
  const server = new AdminServer(quick(), [], clock);
  await server.open({ path });
  onTestFinished(() => server.close());
  const client = await TcpClient.connect({ path });
  client.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => client.ended, 'the answer');
  client.write(Buffer.alloc(2 ** 22));
  client.finish();
  await until(() => clock.waiting === 2, 'the first turn');
  for (let turn = 0; turn < 100; turn += 1) await turns();
  expect(client.socket.writableLength).toBeGreaterThan(0);
  for (let turn = 0; server.clients > 0; turn += 1) {
    expect(turn).toBeLessThan(1000);
    clock.advance(1);
    await turns();
  }
});

it('evicts a client that has its answer before one that has just come, however much the first goes on sending', async () => {
  const { server, where } = await serve(quick(), new FakeClock());
  const crowd = await Promise.all(Array.from({ length: 24 }, () => TcpClient.connect(where)));
  for (const client of crowd) client.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => crowd.every(({ ended }) => ended), 'all answers');
  const slow = await TcpClient.connect(where);
  await until(() => server.clients === 25, 'the slow client');
  for (const client of crowd) client.write('x');
  await turns();
  const others = await Promise.all(Array.from({ length: 24 }, () => TcpClient.connect(where)));
  await until(() => server.clients === 32, 'evictions');
  slow.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => slow.ended, 'the answer of the slow client');
  expect(slow.text).toMatch(/^HTTP\/1\.1 200 /);
  for (const client of others) client.abort();
});

const pieceBytes = 65_536;

/** What a server on 127.0.0.1 has sent that the client's kernel has not taken, see proc_net_tcp(5). */
function unacknowledged(port: number | undefined, clientPort: number | undefined): number {
  const ends = [port, clientPort].map((each = 0) => `0100007F:${each.toString(16).toUpperCase().padStart(4, '0')}`);
  const row = readFileSync('/proc/net/tcp', 'utf8').split(ends.join(' '))[1];
  return Number.parseInt(row?.trim().split(/[ :]+/)[1] ?? '', 16);
}

/** Ways to listen, and to connect there. */
const listeners: readonly (readonly [string, () => Promise<Place>])[] = [
  ['TCP', async () => ({ listen: { host: '127.0.0.1', port: 0 } })],
  ['UNIX', async () => place(join(temporaryDirectory(), 'admin.sock'))],
];

const crowds: readonly (readonly [counts: readonly number[], what: string, act: (client: TcpClient) => void])[] = [
  [[24, 240], 'are silent', () => {}],
  [[24, 240], 'send a header that never ends', (client) => client.write('GET /livez HTTP/1.1\r\nHost: a\r\nX: ')],
  [[24, 60], 'never read their answer', (client) => client.write('GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  [[24, 240], 'reset', (client) => (client.name === 'unix' ? client.socket.destroy() : client.abort())],
  [[24, 240], 'finish and stay', (client) => client.finish('x')],
];

describe.each(listeners)('%s: /livez answers', (_transport, open) => {
  it.each(crowds.flatMap(([counts, what, act]) => counts.map((count) => [count, what, act] as const)))(
    'while %i connections %s',
    async (count, _what, act) => {
      const { listen, where: path } = await open();
      const server = new AdminServer(quick('x'.repeat(2 ** 22)), [], new FakeClock());
      await server.open(listen);
      onTestFinished(() => server.close());
      const where = path ?? { host: '127.0.0.1', port: server.port ?? 0 };
      for (let each = 0; each < count; each += 1) {
        act(await TcpClient.connect(where, { reads: false }));
        if (each % 12 === 11) expect(await answerTo(where, live)).toMatch(/^HTTP\/1\.1 200 /);
        // 24, and those whose request has not been read yet.
        expect(server.clients).toBeLessThanOrEqual(24 + 8);
      }
      for (let probe = 0; probe < 10; probe += 1) expect(await answerTo(where, live)).toMatch(/^HTTP\/1\.1 200 /);
    },
  );
});

const events = 'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n';

const live = 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n';

type Where = { readonly host: string; readonly port: number } | { readonly path: string };

interface Place {
  readonly listen: ListenOptions;
  /** Undefined: on the port that it gets. */
  readonly where?: Where;
}

function place(path: string): Place {
  return { listen: { path }, where: { path } };
}

function quick(config: unknown = { workers: 2 }): AdminSource {
  return { ...pageSource, snapshot: async () => snapshot(), config: async () => config };
}

/** Answers when the test says so. */
class AskedSource implements AdminSource {
  readonly asked: ((value: Snapshot) => void)[] = [];

  async snapshot(): Promise<Snapshot> {
    return new Promise((resolve) => this.asked.push(resolve));
  }

  async config(): Promise<unknown> {
    return {};
  }

  async live(): Promise<Live> {
    return pageSource.live();
  }

  async past(): Promise<Past> {
    return pageSource.past();
  }

  answer(): void {
    this.asked.at(-1)?.(snapshot());
  }
}

async function serve(source: AdminSource, clock?: FakeClock): Promise<{ server: AdminServer; where: Where }> {
  const server = new AdminServer(source, [], clock);
  await server.open({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  return { server, where: { host: '127.0.0.1', port: server.port ?? 0 } };
}

/** A page that has got its first events. */
async function openPage(where: Where): Promise<TcpClient> {
  const page = await TcpClient.connect(where);
  page.write(events);
  await until(() => page.text.includes('event: log'), 'the first events');
  return page;
}

/** All that comes back for these bytes, up to the end of the stream. */
async function answerTo(where: Where, bytes: string): Promise<string> {
  const client = await TcpClient.connect(where);
  client.finish(Buffer.from(bytes, 'latin1'));
  return (await client.takeAll()).toString('latin1');
}

/** Lets what is on its way arrive. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}
