/**
 * A short-lived child process that reports the types of descriptors 3, 4, … as a JSON list of `tcp`, `udp4`, `udp6`,
 * `unix` or null. Everything happens in one turn of the event loop, so no client is accepted and no datagram is read.
 */
import '../../no-debugger.ts';
import { createSocket } from 'node:dgram';
import { writeSync } from 'node:fs';
import { createServer } from 'node:net';

const first = 3;
const fds = Array.from({ length: Number(process.argv[2]) }, (_, index) => first + index);
writeSync(1, JSON.stringify(fds.map((fd) => datagramKind(fd) ?? streamKind(fd))));
process.exit();

function datagramKind(fd: number): string | null {
  try {
    const socket = createSocket('udp4');
    socket.bind({ fd, exclusive: true });
    return socket.address().family === 'IPv6' ? 'udp6' : 'udp4';
  } catch {
    return null;
  }
}

function streamKind(fd: number): string | null {
  const server = createServer().on('error', () => {});
  try {
    server.listen({ fd });
  } catch {
    return null;
  }
  if (!server.listening) return null;
  // Node has no address for an inherited UNIX socket.
  return server.address() === null ? 'unix' : 'tcp';
}
