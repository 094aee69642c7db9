import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseListenAddress } from '../../src/address/listen-address.ts';
import { AdminClient } from '../../src/admin/client.ts';
import { AdminServer } from '../../src/admin/server.ts';
import { answerTcp } from '../support/fake-servers.ts';
import { takeTcpPort } from '../support/ports.ts';
import { snapshot } from './snapshot.ts';

function clientOf(listen: string): AdminClient {
  return new AdminClient(parseListenAddress(listen, () => undefined));
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

describe('AdminClient', () => {
  it('asks the endpoint, whatever its address is called', async () => {
    const server = new AdminServer({ snapshot: async () => snapshot(), config: async () => ({ workers: 2 }) }, []);
    await server.open({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    const client = clientOf(`tcp4://localhost:${server.port}`);
    expect(await client.snapshot()).toEqual(JSON.parse(JSON.stringify(snapshot())));
    expect(await client.config()).toEqual({ workers: 2 });
  });

  it('says why where the daemon has no answer', async () => {
    const source = { snapshot: async () => Promise.reject(new Error('gone')), config: async () => ({}) };
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
  ])('another program that answers %s is told apart, and not quoted', async (_, answer) => {
    const listen = await httpServer(answer);
    await expect(clientOf(listen).snapshot()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `no daemon answers at ${listen}: another program does`,
    });
  });

  it('so is one that speaks no HTTP', async () => {
    const listen = `tcp://${await answerTcp('Sunday, November 22, 2026 11:07:12-UTC\r\n')}`;
    await expect(clientOf(listen).config()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `no daemon answers at ${listen}: another program does`,
    });
  });

  it('an answer that is cut short is none', async () => {
    const listen = await httpServer((request, response) => {
      response.writeHead(200, { Server: 'smallservd', 'Content-Length': 100 }).write('{"pid"', () => request.destroy());
    });
    await expect(clientOf(listen).snapshot()).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: `no daemon answers at ${listen}: the connection was cut`,
    });
  });

  it('nobody there', async () => {
    const port = await takeTcpPort();
    await expect(clientOf(`tcp6://[::1]:${port}`).snapshot()).rejects.toMatchObject({ code: 'ADMIN_UNREACHABLE' });
  });

  it.each(['fd://3', 'systemd:admin'])('cannot connect to %s', (listen) => {
    expect(() => clientOf(listen)).toThrow(expect.objectContaining({ code: 'ADMIN_UNKNOWN' }));
  });
});
