/** UDP over a link: which addresses answer, and which must not. */
import { expect, it } from 'vitest';
import { checkout, Network, needs } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, kill, Program } from './program.ts';

needs('ip', 'nc', 'python3');

const port = 1201;
/** What a worker may have read at 2,000 datagrams a second. */
const datagramsAtHand = 20;
/** On the loopback interface of the server, routed to it: as anycast and direct server return use it. */
const anycast = ['198.51.100.9', '2001:db8:1::9'];
const second = ['192.0.2.77', '2001:db8::77'];

interface Link {
  readonly server: Network;
  readonly client: Network;
  /** The client's end. */
  readonly far: string;
}

function link(): Link {
  const [server, client] = [Network.make(), Network.make()];
  const { far } = server.join(
    client,
    ['192.0.2.1/24', '192.0.2.77/24', '2001:db8::1/64', '2001:db8::77/64', 'fe80::1/64'],
    ['192.0.2.2/24', '2001:db8::2/64', 'fe80::2/64'],
  );
  server.ip('address', 'add', `${anycast[0]}/32`, 'dev', 'lo');
  server.ip('address', 'add', `${anycast[1]}/128`, 'dev', 'lo');
  client.ip('route', 'add', `${anycast[0]}/32`, 'via', '192.0.2.1');
  client.ip('route', 'add', `${anycast[1]}/128`, 'via', '2001:db8::1');
  return { server, client, far };
}

async function serve(server: Network, ...set: readonly string[]): Promise<DaemonProgram> {
  const all = [`services.echo.listen=udp://*:${port}`, 'services.echo.exposeUdp=true', ...set];
  const daemon = new DaemonProgram(
    all.flatMap((each) => ['--set', each]),
    (argv) => server.inside(argv),
  );
  await daemon.ready();
  return daemon;
}

it('an answer comes from the address that was asked, so that connected clients get it', async () => {
  const { server, client, far } = link();
  await serve(server);
  // nc connects its socket: the kernel then discards what comes from another address.
  const peers = new Peers(client);
  for (const host of ['192.0.2.1', '2001:db8::1', ...second, ...anycast, `fe80::1%${far}`])
    expect(await peers.udpAnswer(host, port, `${host}\n`), host).toBe(`${host}\n`);
});

it('datagrams to broadcast and multicast addresses are counted and never answered', async () => {
  const { server, client, far } = link();
  // One service for each kind, so that each has its own counts.
  const hosts = { broadcast: '192.0.2.255', multicast: '224.0.0.1', 'all-nodes': `ff02::1%${far}` };
  const kinds = Object.keys(hosts);
  const set = kinds.flatMap((kind, index) => [
    `services.${kind}.type=echo`,
    `services.${kind}.listen=udp://*:${port + 1 + index}`,
  ]);
  const daemon = await serve(server, 'workers=1', ...set);
  const script = `
    const { createSocket } = require('node:dgram');
    const hosts = ${JSON.stringify(Object.values(hosts))};
    hosts.forEach((host, index) => {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (bytes, { address, port }) => console.log('answer from', port, 'to', String(bytes)));
      socket.bind(0, () => {
        if (!host.includes(':')) {
          socket.setBroadcast(true);
          socket.setMulticastInterface('192.0.2.2');
        }
        const alone = host.includes(':') ? '2001:db8::1' : '192.0.2.1';
        // Again and again: the link may only just be coming up.
        setInterval(() => {
          socket.send('all', ${port + 1} + index, host);
          socket.send('one', ${port + 1} + index, alone);
        }, 100);
      });
    });`;
  const asking = new Program(client.inside([process.execPath, '-e', script]));
  for (const [index, kind] of kinds.entries()) {
    await asking.says(new RegExp(`answer from ${port + 1 + index} to one`));
    const { dropped } = await daemon.line(({ service, dropped: counts }) => service === kind && counts !== undefined);
    expect(dropped).toEqual({ destination: expect.any(Number) as number });
  }
  expect(asking.output).not.toMatch(/to all/);
  asking.signal('SIGTERM');
  await asking.end();
});

it.each([
  ['lost, doubled or reordered while configs are reloaded', 10, 0],
  ['doubled or reordered while workers are killed, and few are lost', 0, 5],
])('no datagram is %s', async (_what, reloads, kills) => {
  const { server, client } = link();
  const daemon = await serve(
    server,
    'workers=2',
    'services.echo.receiveBuffer=8MiB',
    'services.echo.exempt=[192.0.2.0/24]',
  );
  const script = `
    const socket = require('node:dgram').createSocket({ type: 'udp4', recvBufferSize: 8 << 20 });
    const seen = [];
    let sent = 0;
    let quietSince = Infinity;
    socket.on('message', (bytes) => {
      seen.push(bytes.readUInt32BE());
      quietSince = performance.now();
    });
    // One port throughout, and 2,000 a second, as exactly as a timer allows.
    socket.bind(40404, '192.0.2.2', () => socket.connect(${port}, '192.0.2.1', () => {
      console.log('sending');
      let isStopping = false;
      process.stdin.on('data', () => {
        isStopping = true;
        quietSince = performance.now();
      });
      const began = performance.now();
      setInterval(() => {
        for (const due = (performance.now() - began) * 2; sent < due && !isStopping; sent += 1) {
          const bytes = Buffer.alloc(8);
          bytes.writeUInt32BE(sent);
          socket.send(bytes);
        }
        // Whatever still waits in a socket comes within this time.
        if (!isStopping || performance.now() - quietSince < 3000) return;
        const once = new Set(seen).size;
        const reordered = seen.filter((number, index) => index > 0 && number < seen[index - 1]).length;
        console.log(JSON.stringify({ sent, lost: sent - once, doubled: seen.length - once, reordered }));
        process.exit();
      }, 1);
    }));`;
  const asking = new Program(client.inside([process.execPath, '-e', script]));
  await asking.says(/sending/);
  const results = (): number => daemon.lines.filter(({ msg }) => msg === 'config reloaded').length;
  for (let turn = 1; turn <= reloads; turn += 1) {
    daemon.signal('SIGHUP');
    await daemon.until(() => results() === turn, `reload ${turn}`);
  }
  for (let turn = 1; turn <= kills; turn += 1) {
    const [first = 0, other = first] = daemon.workers;
    kill(turn % 2 === 0 ? first : other, 'SIGKILL');
    await daemon.workersBack(turn);
  }
  asking.type('stop\n');
  await asking.says(/"sent"/);
  const { sent, lost, doubled, reordered } = JSON.parse(asking.output.split('\n').at(-2) ?? '') as Record<
    string,
    number
  >;
  expect(sent).toBeGreaterThan(2000);
  expect({ doubled, reordered }).toEqual({ doubled: 0, reordered: 0 });
  // Only what a killed worker had read but not answered.
  expect(lost).toBeLessThanOrEqual(kills * datagramsAtHand);
});

it('only networks whose hosts have link addresses are on a link, as routes say', async () => {
  const { server } = link();
  // Like a tunnel, it needs no link addresses.
  const { near: plain } = server.join(Network.make(), ['203.0.113.1/24'], ['203.0.113.2/24']);
  server.ip('link', 'set', plain, 'arp', 'off');
  for (const network of ['0.0.0.0/1', '128.0.0.0/1', '2001:db8:7::/64'])
    server.ip('route', 'add', network, 'dev', plain);
  server.ip('route', 'add', '198.18.0.0/15', 'via', '192.0.2.2');
  server.ip('route', 'add', 'unreachable', '198.51.100.0/24');
  const script = `
    const { linkRoutes } = await import('${checkout}/dist/kernel/link-routes.js');
    const { formatCidr } = await import('${checkout}/dist/address/cidr.js');
    const found = new Set();
    linkRoutes().read((network, prefix) => found.add(formatCidr({ network, prefix })));
    console.log([...found].sort().join(' '));`;
  const asking = new Program(server.inside([process.execPath, '--input-type=module', '-e', script]));
  const [said] = await asking.says(/.+\n/);
  expect(said.trim()).toBe('192.0.2.0/24 2001:db8::/64 fe80::/64');
});

it('an IPv6 packet with an IPv4-mapped source is not taken for that IPv4 client', async () => {
  const { server, client } = link();
  const daemon = await serve(server, 'services.echo.allow=[127.0.0.0/8,2001:db8::/64]');
  const script = `
import socket, struct
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
source, target = socket.inet_pton(socket.AF_INET6, '::ffff:127.0.0.1'), socket.inet_pton(socket.AF_INET6, '2001:db8::1')
body = b'disguised!'
udp = struct.pack('!HHHH', 40000, ${port}, 8 + len(body), 0) + body
words = struct.unpack('!%dH' % ((32 + 8 + len(udp)) // 2), source + target + struct.pack('!II', len(udp), 17) + udp)
total = sum(words)
while total >> 16: total = (total & 0xffff) + (total >> 16)
udp = udp[:6] + struct.pack('!H', ~total & 0xffff) + udp[8:]
for _ in range(5): raw.sendto(struct.pack('!IHBB', 6 << 28, len(udp), 17, 64) + source + target + udp, ('2001:db8::1', 0))
print('sent', flush=True)`;
  // The neighbors on the way are known from then on.
  expect(await new Peers(client).udpAnswer('2001:db8::1', port, 'hello\n')).toBe('hello\n');
  await new Program(client.inside(['python3', '-c', script])).says(/sent/);
  const { dropped } = await daemon.line(({ dropped: counts }) => counts !== undefined);
  expect(dropped).toEqual({ 'source-address': 5 });
});
