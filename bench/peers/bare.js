// The services as a few lines of Node: node bare.js KIND=PORT... on 127.0.0.1.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const ring = String.fromCharCode(...Array.from({ length: 95 }, (_, index) => 0x20 + index));
const lines = Array.from(ring, (_, start) => `${(ring + ring).slice(start, start + 72)}\r\n`);
const pattern = Buffer.from(lines.join(''));
// Complete periods join seamlessly: as many as fit into 64 KiB.
const block = Buffer.alloc(9 * pattern.length, pattern);

const clients = {
  'tcp-echo': (client) => client.on('data', (chunk) => client.write(chunk)),
  daytime: (client) => client.resume().end(`${new Date().toUTCString()}\r\n`),
  time(client) {
    const seconds = Buffer.alloc(4);
    seconds.writeUInt32BE((Math.floor(Date.now() / 1000) + 2_208_988_800) % 2 ** 32);
    client.resume().end(seconds);
  },
  chargen(client) {
    const send = () => {
      if (client.write(block)) setImmediate(send);
    };
    client.resume().on('drain', send);
    send();
  },
};

for (const [kind, port] of process.argv.slice(2).map((argument) => argument.split('='))) {
  if (kind === 'udp-echo') {
    const socket = createSocket('udp4');
    socket.on('message', (message, peer) => socket.send(message, peer.port, peer.address));
    socket.bind(Number(port), '127.0.0.1');
  } else {
    createServer({ noDelay: true }, (client) => {
      client.on('error', () => {});
      clients[kind](client);
    }).listen(Number(port), '127.0.0.1');
  }
}
