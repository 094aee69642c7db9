import { spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Where a fake server listens. */
export interface FakeServer {
  readonly host: string;
  readonly port: number;
  /** `127.0.0.1:40001`, `[::1]:40001`: as the tools take it. */
  readonly name: string;
}

/**
 * A TCP server that does with its clients what the test wants; half-open, and gone with all of them when the test is
 * over.
 */
export async function fakeTcpServer(client: (socket: Socket) => void, host = '127.0.0.1', at = 0): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
    client(socket);
  }).listen(at, host);
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return named(host, (server.address() as { port: number }).port);
}

/** A UDP server that does with each datagram what the test wants; gone when the test is over. */
export async function fakeUdpServer(
  datagram: (bytes: Buffer, reply: (bytes: Uint8Array | string) => void, socket: UdpSocket) => void,
  host = '127.0.0.1',
  at = 0,
): Promise<FakeServer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4').bind(at, host);
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  socket.on('message', (bytes, { address, port }) => {
    datagram(bytes, (reply) => socket.send(reply, port, address), socket);
  });
  return named(host, socket.address().port);
}

/**
 * A TCP port where nobody is there: its process is blocked, its queue of two is full (listen(2), backlog), and the
 * kernel drops each SYN that comes. Gone when the test is over.
 */
export async function silentTcpServer(host = '127.0.0.1', at = 0): Promise<FakeServer> {
  const listen = `{ port: ${at}, host: '${host}', backlog: 1 }`;
  const blocked = `const server = require('node:net').createServer().listen(${listen}, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  })`;
  const child = spawn(process.execPath, ['-e', blocked], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  const queued = [1, 2].map(() => connect(Number(port), host).on('error', () => {}));
  onTestFinished(() => queued.forEach((socket) => socket.destroy()));
  await Promise.all(queued.map((socket) => once(socket, 'connect')));
  return named(host, Number(port));
}

/** `fakeTcpServer`, by its name alone. */
export async function serveTcp(client: (socket: Socket) => void): Promise<string> {
  return (await fakeTcpServer(client)).name;
}

/** The same that answers with these bytes and finishes. */
export async function answerTcp(answer: Uint8Array | string): Promise<string> {
  return serveTcp((socket) => void socket.resume().end(answer));
}

/** The name of a UDP server that sends back what `serve` gives for the nth datagram, counted from 1. */
export async function answerUdp(
  serve: (request: Buffer, count: number) => readonly (Uint8Array | string)[],
): Promise<string> {
  let count = 0;
  const server = await fakeUdpServer((request, reply) => {
    count += 1;
    for (const bytes of serve(request, count)) reply(bytes);
  });
  return server.name;
}

function named(host: string, port: number): FakeServer {
  return { host, port, name: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` };
}
