/** Peers with link-local addresses: on two links, the same address is two hosts. */
import { describe, expect, it } from 'vitest';
import { clientProgram, Network, needs } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, Program, run } from './program.ts';

needs('ip', 'nc');

const port = 1201;
const echo = `services.echo.listen=tcp6://*:${port},udp6://*:${port}`;

/** Writes the sources of echo, once there are four. Workers report theirs every second. */
const readStatus = `
  const read = async () => {
    const { services } = await (await fetch('http://127.0.0.1:9013/status')).json();
    const { topSources } = services.echo;
    if (topSources.length < 4) setTimeout(read, 100);
    else console.log(JSON.stringify(topSources));
  };
  read();`;

interface Link {
  readonly client: Network;
  readonly peers: Peers;
  /** The server's end. */
  readonly near: string;
  /** The server, as the client names it. */
  readonly server: string;
}

/** A server on two links. It is fe80::1 on both, and the clients are fe80::2 and fe80::3. */
function links(): { server: Network; one: Link; two: Link } {
  const server = Network.make();
  const link = (): Link => {
    const client = Network.make();
    const { near, far } = server.join(client, ['fe80::1/64'], ['fe80::2/64', 'fe80::3/64']);
    return { client, peers: new Peers(client), near, server: `fe80::1%${far}` };
  };
  return { server, one: link(), two: link() };
}

async function serve(server: Network, ...set: readonly string[]): Promise<DaemonProgram> {
  const daemon = new DaemonProgram(
    ['workers=1', ...set].flatMap((each) => ['--set', each]),
    (argv) => server.inside(argv),
  );
  await daemon.ready();
  return daemon;
}

/** An address of the client, as it names it itself. */
function zoned(address: string, { server }: Link): string {
  return `${address}%${server.split('%')[1]}`;
}

/** Keeps a TCP connection, which has been answered. */
async function hold(link: Link, from: string): Promise<Program> {
  const nc = link.peers.talk('-s', zoned(from, link), link.server, String(port));
  nc.type('held\n');
  await nc.says(/held/);
  return nc;
}

/** Sends a line over TCP, and returns what comes back. */
async function exchange(link: Link, from: string, line: string): Promise<string> {
  const nc = link.peers.talk('-N', '-s', zoned(from, link), link.server, String(port));
  nc.type(line);
  nc.endInput();
  await nc.end();
  return nc.output;
}

describe.each(['sockets=kernel', 'sockets=node'])('with %s', (sockets) => {
  /** Over sockets of Node, an answer from all interfaces may come from another address than the one asked. */
  const listen = (...served: readonly Link[]): string =>
    sockets === 'sockets=kernel'
      ? echo
      : [
          `services.echo.listen=tcp6://*:${port}`,
          ...served.map(({ near }) => `udp://[fe80::1%${near}]:${port}`),
        ].join();

  it('peers on two links get their own answers, and their own names in the log', async () => {
    const { server, one, two } = links();
    const daemon = await serve(server, sockets, listen(one, two));
    for (const link of [one, two]) {
      const { peers, server: host, near } = link;
      expect(await peers.udpAnswer(host, port, `${near}\n`)).toBe(`${near}\n`);
      expect(await exchange(link, 'fe80::2', `${near}\n`)).toBe(`${near}\n`);
      const { local } = await daemon.line(
        ({ msg, peer }) => msg === 'closed' && String(peer).startsWith(`[fe80::2%${near}]:`),
      );
      expect(local).toBe(`[fe80::1%${near}]:${port}`);
    }
  });

  it('limits hold for each host on each link', async () => {
    const { server, one, two } = links();
    const admin = 'tcp://127.0.0.1:9013';
    const limits = [
      'maxConnectionsPerSource=1',
      'datagramRate.burst=1',
      'datagramRate.perSecond=1',
      'maxConnections=20',
    ];
    await serve(
      server,
      sockets,
      listen(one, two),
      `admin.listen=${admin}`,
      ...limits.map((each) => `services.echo.${each}`),
    );
    for (const link of [one, two])
      for (const from of ['fe80::2', 'fe80::3']) {
        await hold(link, from);
        expect(await exchange(link, from, 'refused\n')).toBe('');
        // Whatever others have spent.
        const asked = link.peers.talk('-u', '-s', zoned(from, link), link.server, String(port));
        asked.type('first\n');
        await asked.says(/first/);
      }
    const status = await run(server.inside([process.execPath, '-e', readStatus]));
    const sources = JSON.parse(status.output) as { source: string; connections: number }[];
    expect(sources.toSorted((a, b) => a.source.localeCompare(b.source))).toEqual(
      [one, two]
        .flatMap(({ near }) => ['fe80::2', 'fe80::3'].map((host) => ({ source: `${host}%${near}`, connections: 1 })))
        .toSorted((a, b) => a.source.localeCompare(b.source)),
    );
  });

  it('a loop is found on its own link, and named', async () => {
    const { server, one, two } = links();
    const daemon = await serve(server, sockets, listen(one, two));
    const script = `
      const socket = require('node:dgram').createSocket('udp6');
      let seen = 0;
      socket.on('message', (bytes, { address, port }) => {
        seen += 1;
        if (seen === 3) console.log('circulating');
        if (process.argv[2] === 'loop') socket.send(bytes, port, address);
        else console.log('answered');
      });
      socket.bind(7007, 'fe80::2%' + process.argv[1].split('%')[1], () => {
        const ask = () => socket.send('around', ${port}, process.argv[1]);
        ask();
        // The link may only just be coming up.
        setInterval(() => seen === 0 && ask(), 100);
      });`;
    const start = (link: Link, how: string): Program =>
      new Program(link.client.inside([process.execPath, '-e', script, link.server, how]));
    start(one, 'loop');
    const { peer } = await daemon.line(({ msg }) => msg === 'loop detected, dropping repeats');
    expect(peer).toBe(`[fe80::2%${one.near}]:7007`);
    // The same address, port and content on the other link.
    await start(two, 'ask').says(/answered/);
  });

  it('allow and deny hold on every link', async () => {
    const { server, one, two } = links();
    await serve(server, sockets, listen(one, two), 'services.echo.deny=fe80::3', 'services.echo.allow=fe80::/10');
    for (const link of [one, two]) {
      await hold(link, 'fe80::2');
      expect(await exchange(link, 'fe80::3', 'refused\n')).toBe('');
    }
  });
});

it('a global address that a link-local peer asks answers on the link of that peer', async () => {
  const { server, one, two } = links();
  server.ip('address', 'add', '2001:db8::9/128', 'dev', 'lo');
  await serve(server, echo, 'services.echo.exposeUdp=true');
  for (const link of [one, two]) {
    const { client, peers, near } = link;
    const from = zoned('fe80::2', link);
    client.ip('route', 'add', '2001:db8::9/128', 'via', 'fe80::1', 'dev', from.split('%')[1] ?? '');
    const asked = peers.talk('-u', '-s', from, '2001:db8::9', String(port));
    asked.type(`${near}\n`);
    await asked.says(new RegExp(near));
  }
});

it.each(['tcp', 'udp'])('a %s listener on a link-local address serves its link alone', async (scheme) => {
  const { server, one, two } = links();
  const daemon = await serve(server, `services.echo.listen=${scheme}://[fe80::1%${one.near}]:7`);
  const { address } = await daemon.line(({ msg, service }) => msg === 'listening' && service === 'echo');
  expect(address).toBe(`${scheme}://[fe80::1%${one.near}]:7`);
  if (scheme === 'udp') {
    expect(await one.peers.udpAnswer(one.server, 7, 'here\n')).toBe('here\n');
    expect(await two.peers.udp(two.server, 7, 'there\n')).toBe('');
  } else {
    expect(await one.peers.tcp(one.server, 7, 'here\n')).toBe('here\n');
    expect(await two.peers.tcp(two.server, 7, 'there\n')).toBe('');
  }
});

it.each(['tcp', 'udp'])('a %s listener on a link-local address without a zone is an error', async (scheme) => {
  const daemon = new DaemonProgram(['--set', `services.echo.listen=${scheme}://[fe80::1]:7`]);
  expect(await daemon.end()).toEqual({ code: 78, signal: null });
  expect(daemon.complaints).toContain(
    `"${scheme}://[fe80::1]:7" has a link-local address without a zone: expected its interface, too, as in [fe80::1%eth0]`,
  );
});

it('a client tool names the interfaces of a link-local address without a zone', async () => {
  const { server, one, two } = links();
  const tool = await run(server.inside([...clientProgram, 'probe', '[fe80::2]:7']));
  expect(tool.complaints).toBe(
    'smallserv: "[fe80::2]:7" has a link-local address without a zone: ' +
      `expected its interface, too, as in fe80::2%${one.near} (or ${two.near})\n`,
  );
  expect((await tool.ended).code).toBe(64);
});

it('a listener on an interface that was deleted and made again is reopened by a reload', async () => {
  const server = Network.make();
  const make = (): void => {
    server.ip('link', 'add', 'ours', 'type', 'veth', 'peer', 'name', 'theirs');
    server.ip('address', 'add', 'fe80::77/64', 'dev', 'ours', 'nodad');
    for (const end of ['ours', 'theirs']) server.ip('link', 'set', end, 'up');
  };
  make();
  const at = `[fe80::77%ours]:${port}`;
  const daemon = await serve(server, `services.echo.listen=tcp://${at},udp://${at}`);
  const peers = new Peers(server);
  expect(await peers.tcp('fe80::77%ours', port, 'before\n')).toBe('before\n');
  server.ip('link', 'delete', 'ours');
  make();
  daemon.signal('SIGHUP');
  await daemon.line(({ msg }) => msg === 'config reloaded');
  expect(await peers.tcp('fe80::77%ours', port, 'after\n')).toBe('after\n');
  expect(await peers.udpAnswer('fe80::77%ours', port, 'after\n')).toBe('after\n');
  daemon.signal('SIGTERM');
  expect((await daemon.end()).code).toBe(0);
});
