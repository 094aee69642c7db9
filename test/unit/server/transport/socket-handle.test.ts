import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { readPeerAddress } from '../../../../src/server/transport/socket-handle.ts';
import { TcpClient } from '../../../support/tcp.ts';

async function accepted(): Promise<{ readonly socket: Socket; readonly client: TcpClient }> {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const connection = once(server, 'connection');
  const client = await TcpClient.connect({ host: '127.0.0.1', port });
  const [socket] = (await connection) as [Socket];
  onTestFinished(() => void socket.destroy());
  return { socket, client };
}

it('readPeerAddress returns the same as the documented getters', async () => {
  const { socket } = await accepted();
  const peer = { address: '', port: 0 };
  expect(readPeerAddress(socket, peer)).toBe(true);
  expect(peer).toMatchObject({ address: socket.remoteAddress, port: socket.remotePort });
});

it('readPeerAddress falls back to the getters for a socket without a handle', () => {
  const peer = { address: '', port: 0 };
  expect(readPeerAddress({ remoteAddress: '::1', remotePort: 7 } as Socket, peer)).toBe(true);
  expect(peer).toEqual({ address: '::1', port: 7 });
});

it('readPeerAddress returns false once the client is gone', async () => {
  const { socket } = await accepted();
  socket.destroy();
  await once(socket, 'close');
  const peer = { address: 'before', port: 1 };
  expect(readPeerAddress(socket, peer)).toBe(false);
  expect(peer).toEqual({ address: 'before', port: 1 });
});
