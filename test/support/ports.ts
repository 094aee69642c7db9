import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { onTestFinished } from 'vitest';

/** Listens on a port until the test is over. */
export async function takeTcpPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

/** The same over UDP. */
export async function takeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return socket.address().port;
}

let next = 10_000 + (Number(process.env['VITEST_POOL_ID'] ?? 0) % 20) * 1000;

/**
 * A port that is free, over TCP and UDP, and stays so: below those that the kernel gives out by itself
 * (net.ipv4.ip_local_port_range), and in a thousand of this test process's own.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next;
    next += 1;
    if ((await canListen(port)) && (await canBind(port))) return port;
  }
}

async function canBind(port: number): Promise<boolean> {
  const socket = createSocket('udp4').bind(port, '127.0.0.1');
  try {
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

/** Whether a TCP port of 127.0.0.1 is free. */
export async function canListen(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
