import { request } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AdminServer } from '../../src/admin/server.ts';
import type { Snapshot } from '../../src/admin/snapshot.ts';
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
    const source = { snapshot: async () => snapshot(changes), config: async () => ({ workers: 2 }) };
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

describe('the pages', () => {
  it('/livez is ok while somebody answers', async () => {
    const endpoint = await Endpoint.open({ notReady: ['starting'] });
    expect(await endpoint.ask('/livez')).toMatchObject({ status: 200, body: 'ok\n' });
  });

  it('/readyz says whether the daemon is ready, and why not', async () => {
    expect(await (await Endpoint.open()).ask('/readyz')).toMatchObject({ status: 200, body: 'ok\n' });
    const notReady = ['echo tcp://127.0.0.1:1201 is not open', 'more'];
    expect(await (await Endpoint.open({ notReady })).ask('/readyz')).toMatchObject({
      status: 503,
      body: 'not ready: echo tcp://127.0.0.1:1201 is not open; more\n',
    });
  });

  it('/metrics is the text format of Prometheus', async () => {
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

  it('no other', async () => {
    const endpoint = await Endpoint.open();
    for (const path of ['/nothing', '/status/', '//status', '/../etc/passwd', '/%2e%2e/config', '/reload'])
      expect(await endpoint.ask(path), path).toMatchObject({ status: 404 });
    expect((await endpoint.ask('/')).body).toContain('/metrics');
  });
});

describe('requests', () => {
  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])('%s changes nothing', async (method) => {
    expect(await (await Endpoint.open()).ask('/status', 'localhost', method)).toMatchObject({ status: 405 });
  });

  it('HEAD gets no body', async () => {
    expect(await (await Endpoint.open()).ask('/readyz', 'localhost', 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  it.each(['localhost', 'LOCALHOST:9013', '127.0.0.1:9013', '10.1.2.3', '[::1]:9013', '[fe80::1]', 'Admin.example'])(
    'to %s are answered',
    async (host) => {
      const endpoint = await Endpoint.open({}, ['admin.example']);
      expect(await endpoint.ask('/status', host)).toMatchObject({ status: 200 });
    },
  );

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'evil.example:9013', '[localhost]'])(
    'to %j are not, but for probes',
    async (host) => {
      const endpoint = await Endpoint.open();
      for (const path of ['/status', '/config', '/metrics', '/'])
        expect(await endpoint.ask(path, host), path).toMatchObject({ status: 421 });
      for (const path of ['/livez', '/readyz'])
        expect(await endpoint.ask(path, host), path).toMatchObject({ status: 200 });
    },
  );

  it('that are none cost nothing but their connection', async () => {
    const endpoint = await Endpoint.open();
    for (const bytes of [
      'GET /status HTTP/1.1\r\nHost:\r\n\r\n',
      '',
      '\0\0\0',
      'GET\r\n\r\n',
      `GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(5000)}\r\n`,
    ])
      expect(await endpoint.send(bytes)).not.toMatch(/^HTTP\S+ 200/);
    expect(await endpoint.send('GET /status HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 421 /);
    expect(await endpoint.ask('/livez')).toMatchObject({ status: 200 });
  });

  it('of one connection only the first is answered', async () => {
    const answers = await (await Endpoint.open()).send('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(100));
    expect(answers.split('HTTP/1.1 200 OK')).toHaveLength(2);
  });

  it.each<[string, string]>([
    ['says nothing', ''],
    ['never ends its question', 'GET /livez HTTP/1.1\r\nHost: a\r\nX: '],
    ['takes nothing of the answer', 'GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ])('a client that %s is cut', async (_, bytes) => {
    const large = 'x'.repeat(50 * 2 ** 20);
    const server = new AdminServer({ snapshot: async () => snapshot(), config: async () => large }, [], 100);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    const client = connect(server.port ?? 0, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void client.destroy());
    client.write(bytes);
    await once(client, 'connect');
    // Never resolves, were the client kept.
    while ((await server.clients()) > 0) await new Promise(setImmediate);
  });

  it('that get no answer from the supervisor are told so', async () => {
    const source = { snapshot: async () => Promise.reject(new Error('gone')), config: async () => ({}) };
    const server = new AdminServer(source, []);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    for (const path of ['/livez', '/readyz', '/status', '/metrics'])
      expect(await new Endpoint(server.port ?? 0).ask(path)).toMatchObject({ status: 503 });
  });
});
