// A minimal Node server, the baseline for smallservd. Prints its port.
import { createServer } from 'node:net';

const line = Buffer.from('Sunday, November 22, 2026 11:07:12-UTC\r\n');

const servers = {
  echo: (socket) => {
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('error', () => {});
  },
  daytime: (socket) => {
    socket.end(line);
    socket.on('error', () => {});
    socket.resume();
  },
};

const server = createServer(servers[process.argv[2]]);
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
