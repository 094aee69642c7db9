import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type DialEvents, dialWithKernel, dialWithNode } from '../../../../src/client/dial/tcp-dial.ts';
import { fakeTcpServer, silentTcpServer } from '../../../support/fake-servers.ts';
import { kernelSockets } from '../../../support/kernel.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/wait.ts';

const local = { address: '127.0.0.1', family: 'ipv4' } as const;

class Events implements DialEvents {
  readonly sockets: Socket[] = [];
  readonly errors: Error[] = [];

  connected(socket: Socket): void {
    onTestFinished(() => void socket.destroy());
    this.sockets.push(socket);
  }

  failed(error: Error): void {
    this.errors.push(error);
  }
}

describe.each([
  ['the kernel', dialWithKernel],
  ['Node', dialWithNode],
])('a connection attempt through %s', (_through, dial) => {
  test('gives a socket that reads, writes and finishes', async () => {
    const { port } = await fakeTcpServer((client) => void client.on('data', (bytes) => client.end(bytes)));
    const events = new Events();
    dial(local, port, {}, events);
    expect([events.sockets.length, events.errors.length]).toEqual([0, 0]);
    await until(() => events.sockets.length === 1, 'the connection');
    const [socket] = events.sockets as [Socket];
    expect([socket.remoteAddress, socket.remotePort, socket.remoteFamily]).toEqual(['127.0.0.1', port, 'IPv4']);
    expect(socket.listenerCount('error')).toBe(0);
    const received: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => received.push(bytes));
    socket.write('hello');
    await once(socket, 'end');
    expect(Buffer.concat(received).toString()).toBe('hello');
    // Half-open: the peer's FIN has not ended our side.
    expect(socket.writable).toBe(true);
  });

  test('fails with the error of the system', async () => {
    const events = new Events();
    dial(local, await freePort(), {}, events);
    await until(() => events.errors.length === 1, 'the refusal');
    expect(events.errors[0]).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('fails later even if the kernel refuses at once', async () => {
    const events = new Events();
    dial({ address: '255.255.255.255', family: 'ipv4' }, 7, {}, events);
    expect(events.errors).toEqual([]);
    await until(() => events.errors.length === 1, 'the refusal');
    expect(events.errors[0]).toMatchObject({ code: 'ENETUNREACH' });
  });

  test('can be given up, which closes its socket', async () => {
    const { port } = await silentTcpServer();
    const events = new Events();
    const localPort = await freePort();
    const giveUp = dial(local, port, { sourcePort: localPort }, events);
    const isConnecting = (): boolean => kernelSockets(localPort).some(({ state }) => state === 'syn-sent');
    await until(isConnecting, 'the attempt');
    giveUp();
    giveUp();
    await until(() => !isConnecting(), 'its end');
    expect([events.sockets.length, events.errors.length]).toEqual([0, 0]);
  });
});
