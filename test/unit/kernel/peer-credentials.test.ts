import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readPeerCredentials } from '../../../src/kernel/peer-credentials.ts';
import { temporaryDirectory } from '../../support/daemon-process.ts';

async function descriptorOfClient(server: Server, target: { path: string } | { port: number }): Promise<number> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect(target as { path: string });
  const [socket] = await accepted;
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return (socket as Socket & { readonly _handle: { readonly fd: number } })._handle.fd;
}

test('reads the credentials of a UNIX client', async () => {
  const path = join(temporaryDirectory(), 'socket');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const credentials = readPeerCredentials(await descriptorOfClient(server, { path }));
  expect(credentials).toEqual({ pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() });
});

test('returns undefined for a TCP client', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  expect(readPeerCredentials(await descriptorOfClient(server, { port }))).toBeUndefined();
});

test.each([-1, 0x7fffffff])('returns undefined for descriptor %i, which is not open', (descriptor) => {
  expect(readPeerCredentials(descriptor)).toBeUndefined();
});
