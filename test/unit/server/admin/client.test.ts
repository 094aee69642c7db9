import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseListenAddress } from '../../../../src/address/listen-address.ts';
import { AdminClient } from '../../../../src/server/admin/client.ts';
import type { PageEvent } from '../../../../src/server/admin/live.ts';
import { AdminServer } from '../../../../src/server/admin/server.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { expectedRefusal, sendDescriptorAt } from '../../../support/descriptor-sender.ts';
import { answerTcp } from '../../../support/fake-servers.ts';
import { until } from '../../../support/wait.ts';
import { takeTcpPort } from '../../../support/ports.ts';
import { noPast, pageSource } from './live.ts';
import { snapshot } from './snapshot.ts';

function clientOf(listen: string): AdminClient {
  return new AdminClient(parseListenAddress(listen, () => undefined));
}

/** A list in a list in a list. */
function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}

/** Where somebody answers HTTP, gone when the test is over. */
async function httpServer(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `tcp://127.0.0.1:${(server.address() as { port: number }).port}`;
}

describe('AdminClient at a UNIX socket', () => {
  it('connects once for each request, and leaves no descriptor', async () => {
    const path = join(temporaryDirectory(), 'admin.sock');
    let connections = 0;
    const server = createServer((_, response) => void response.setHeader('Server', 'smallservd').end('{}')).listen(
      path,
    );
    server.on('connection', () => (connections += 1));
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const client = clientOf(`unix://${path}`);
    const before = readdirSync('/proc/self/fd').length;
    for (let turn = 0; turn < 10; turn += 1) expect(await client.config()).toEqual({});
    server.closeAllConnections();
    await until(() => readdirSync('/proc/self/fd').length <= before + 1, 'the end of all connections');
    expect(connections).toBe(10);
  });

  it.each([
    ['/nonexistent/admin.sock', 'there is no such socket'],
    ['/dev/null', 'connection refused'],
  ])('says what stands in the way of %s', async (path, reason) => {
    const message = `no daemon answers at unix://${path}: ${reason}`;
    await expect(clientOf(`unix://${path}`).snapshot()).rejects.toMatchObject({ message });
  });

  it('refuses descriptors, whose close could wait for minutes', async () => {
    const path = join(temporaryDirectory(), 'admin.sock');
    const outcome = await sendDescriptorAt(path, 'hello');
    await expect(clientOf(`unix://${path}`).snapshot()).rejects.toMatchObject({ code: 'ADMIN_UNREACHABLE' });
    expect(await outcome()).toBe(expectedRefusal());
  });
});

describe('AdminClient', () => {
  it('fetches snapshot and config from the endpoint, also by name', async () => {
    const server = new AdminServer(
      { ...pageSource, snapshot: async () => snapshot(), config: async () => ({ workers: 2 }) },
      [],
    );
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    const client = clientOf(`tcp4://localhost:${server.port}`);
    expect(await client.snapshot()).toEqual(JSON.parse(JSON.stringify(snapshot())));
    expect(await client.config()).toEqual({ workers: 2 });
  });

  it('reports why the daemon cannot answer', async () => {
    const source = { ...pageSource, snapshot: async () => Promise.reject(new Error('gone')), config: async () => ({}) };
    const server = new AdminServer(source, []);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    await expect(clientOf(`tcp://127.0.0.1:${server.port}`).snapshot()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `no daemon answers at tcp://127.0.0.1:${server.port}: no answer from the supervisor`,
    });
  });

  it.each<[string, RequestListener]>([
    ['a page', (_, response) => void response.end('<html>hello')],
    ['JSON', (_, response) => void response.end('{"pid":1}')],
    ['404', (_, response) => void response.writeHead(404).end('<html>\n\u001b[31mno')],
    ['another Server header', (_, response) => void response.writeHead(200, { Server: 'smallservd/2' }).end('{}')],
  ])('rejects another program that answers %s, without quoting it', async (_, answer) => {
    const listen = await httpServer(answer);
    await expect(clientOf(listen).snapshot()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `${listen} is not a smallservd admin endpoint: its answer has a different Server header`,
    });
  });

  it('rejects a program that does not speak HTTP', async () => {
    const listen = `tcp://${await answerTcp('Sunday, November 22, 2026 11:07:12-UTC\r\n')}`;
    await expect(clientOf(listen).config()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `${listen} is not a smallservd admin endpoint: it does not speak HTTP`,
    });
  });

  it.each<[string, RequestListener, string]>([
    ['invalid JSON', (_, response) => void response.end('{"pid":'), 'its /status is not JSON, or is nested too deeply'],
    ['nothing', (_, response) => void response.end(), 'its /status is not JSON, or is nested too deeply'],
    ['a list', (_, response) => void response.end('[]'), 'its /status is not an object'],
    ['null', (_, response) => void response.end('null'), 'its /status is not an object'],
    ['nested JSON', (_, response) => void response.end(nested(65)), 'its /status is not JSON, or is nested too deeply'],
    [
      'deeply nested JSON',
      (_, response) => void response.end(nested(1e6)),
      'its /status is not JSON, or is nested too deeply',
    ],
    [
      'more than 4 MiB',
      (_, response) => void response.end(`"${'x'.repeat(4 * 2 ** 20)}"`),
      'its /status is longer than 4194304 bytes',
    ],
    [
      'an endless body',
      (_, response) => {
        const timer = setInterval(() => response.write('x'.repeat(2 ** 20)), 0);
        response.on('close', () => clearInterval(timer));
      },
      'its /status is longer than 4194304 bytes',
    ],
    [
      'a redirect',
      (_, response) => void response.writeHead(302, { Location: 'http://127.0.0.1:9/' }).end(),
      'it answers /status with status 302',
    ],
    ['many lines', (_, response) => void response.writeHead(500).end('a\nb\n'), 'it answers /status with status 500'],
    [
      'a long line',
      (_, response) => void response.writeHead(503).end(`${'x'.repeat(201)}\n`),
      'it answers /status with status 503',
    ],
  ])('rejects an impostor with the right Server header that answers %s', async (_, answer, reason) => {
    const listen = await httpServer((request, response) => answer(request, response.setHeader('Server', 'smallservd')));
    await expect(clientOf(listen).snapshot()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `${listen} is not a smallservd admin endpoint: ${reason}`,
    });
  });

  it('rejects a protocol switch', async () => {
    const head = 'HTTP/1.1 101 Switching Protocols\r\nServer: smallservd\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';
    const listen = `tcp://${await answerTcp(head)}`;
    await expect(clientOf(listen).snapshot()).rejects.toMatchObject({ code: 'ADMIN_UNREACHABLE' });
  });

  it('rejects a config that is not an object', async () => {
    const listen = await httpServer((_, response) => void response.setHeader('Server', 'smallservd').end('[1]'));
    await expect(clientOf(listen).config()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `${listen} is not a smallservd admin endpoint: its /config is not an object`,
    });
  });

  it.each<[string, RequestListener]>([
    ['never begins', () => {}],
    ['never ends', (_, response) => void response.setHeader('Server', 'smallservd').write('{')],
    [
      'trickles',
      (_, response) => {
        const timer = setInterval(() => response.write(' '), 5);
        response.setHeader('Server', 'smallservd').on('close', () => clearInterval(timer));
      },
    ],
  ])('times out if the answer %s', async (_, answer) => {
    const listen = await httpServer(answer);
    const address = parseListenAddress(listen, () => undefined);
    await expect(new AdminClient(address, 100).snapshot()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `no daemon answers at ${listen}: no complete answer within 100 ms`,
    });
  });

  it('rejects a truncated answer', async () => {
    const listen = await httpServer((request, response) => {
      response.writeHead(200, { Server: 'smallservd', 'Content-Length': 100 }).write('{"pid"', () => request.destroy());
    });
    await expect(clientOf(listen).snapshot()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `no daemon answers at ${listen}: connection reset`,
    });
  });

  it('rejects if no daemon is listening', async () => {
    const port = await takeTcpPort();
    await expect(clientOf(`tcp6://[::1]:${port}`).snapshot()).rejects.toMatchObject({ code: 'ADMIN_UNREACHABLE' });
  });

  it.each(['fd://3', 'systemd:admin'])('refuses to connect to %s', (listen) => {
    expect(() => clientOf(listen)).toThrow(expect.objectContaining({ code: 'ADMIN_UNKNOWN' }));
  });
});

/** Sends this again and again, until the connection is closed. */
function keepSending(response: ServerResponse, text: string): void {
  const timer = setInterval(() => response.write(text), 20);
  response.on('close', () => clearInterval(timer));
}

/** All events until the end, whose error it rejects with. */
async function eventsOf(client: AdminClient, ended = new AbortController()): Promise<readonly PageEvent[]> {
  const events: PageEvent[] = [];
  for await (const event of client.events(ended.signal)) {
    events.push(event);
    if (event.name === 'log') ended.abort();
  }
  return events;
}

describe('AdminClient.events', () => {
  it('gets what the page shows, until it is ended', async () => {
    const server = new AdminServer({ ...pageSource, snapshot: async () => snapshot(), config: async () => ({}) }, []);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    const events = await eventsOf(clientOf(`tcp://127.0.0.1:${server.port}`));
    expect(events.map(({ name }) => name)).toEqual(['past', 'status', 'points', 'faults', 'reloads', 'log']);
    expect(events[0]?.value).toEqual(noPast);
  });

  const head = { Server: 'smallservd', 'Content-Type': 'text/event-stream' };

  it.each<[string, RequestListener]>([
    ['the connection was closed', (_, response) => void response.writeHead(200, head).end('event: later\ndata: 1\n\n')],
    ['no event came for 200 ms', (_, response) => void response.writeHead(200, head).write('event: ')],
    ['no event came for 200 ms', () => {}],
    [
      'no event came for 200 ms',
      (_, response) => keepSending(response.writeHead(200, head), 'event: later\ndata: 1\n\n'),
    ],
    ['it answers /events with status 503', (_, response) => void response.writeHead(503, head).end()],
    [
      'it is an earlier version, which keeps no history',
      (_, response) => void response.writeHead(404, { Server: 'smallservd' }).end(),
    ],
  ])('says that no daemon answers: %s', async (reason, answer) => {
    const listen = await httpServer(answer);
    // All others answer, however slow this machine is.
    const patienceMs = reason.startsWith('no event') ? 200 : undefined;
    const client = new AdminClient(
      parseListenAddress(listen, () => undefined),
      patienceMs,
    );
    await expect(eventsOf(client)).rejects.toMatchObject({ message: `no daemon answers at ${listen}: ${reason}` });
  });

  it.each<[string, RequestListener]>([
    ['its answer has a different Server header', (_, response) => void response.end()],
    ['its /events are not events', (_, response) => void response.setHeader('Server', 'smallservd').end('{}')],
    ['its events are malformed', (_, response) => void response.writeHead(200, head).end('data: 1\n\n')],
    ['its event log is not valid', (_, response) => void response.writeHead(200, head).end('event: log\ndata: x\n\n')],
    [
      'its event reloads has no valid 0.at',
      (_, response) => void response.writeHead(200, head).end('event: reloads\ndata: [{"at":1}]\n\n'),
    ],
  ])('rejects another program: %s', async (reason, answer) => {
    const listen = await httpServer(answer);
    const message = `${listen} is not a smallservd admin endpoint: ${reason}`;
    await expect(eventsOf(clientOf(listen))).rejects.toMatchObject({ message });
  });
});

describe('AdminClient.firstEvents', () => {
  it('gets one event of each name', async () => {
    const server = new AdminServer({ ...pageSource, snapshot: async () => snapshot(), config: async () => ({}) }, []);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    const events = await clientOf(`tcp://127.0.0.1:${server.port}`).firstEvents();
    expect(events.map(({ name }) => name)).toEqual(['past', 'status', 'points', 'faults', 'reloads', 'log']);
  });

  it('does not wait forever for the others while one comes again and again', async () => {
    const head = { Server: 'smallservd', 'Content-Type': 'text/event-stream' };
    const listen = await httpServer((_, response) =>
      keepSending(response.writeHead(200, head), 'event: log\ndata: []\n\n'),
    );
    const client = new AdminClient(
      parseListenAddress(listen, () => undefined),
      300,
    );
    const message = `no daemon answers at ${listen}: no complete answer within 300 ms`;
    await expect(client.firstEvents()).rejects.toMatchObject({ code: 'ADMIN_UNREACHABLE', message });
  });
});
