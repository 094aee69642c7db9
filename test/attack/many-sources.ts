/** Attack 7: as many sources as requests, against as many requests from one source. All are addresses of loopback. */
import { connect, type Socket } from 'node:net';
import type { ServiceCounters } from '../../src/server/counters.ts';
import { DaemonProcess, inOneProcess } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { proxied } from '../support/proxy-datagram.ts';
import { UdpClient } from '../support/udp.ts';
import { run } from '../system/program.ts';
import { holds } from './figures.ts';
import { PacketProgram } from './packets.ts';
import { askProbe, heldBytes, probeModule } from './probe.ts';
import { isNode, sockets } from './sockets.ts';

const attack = 7;
const outOfReach = 1_000_000;
const mostGrowth = 1_000_000;
/** From one source to the next: every sixteenth address, so that they are of many networks, too. */
const step = 16;
const firstSource = '127.0.1.0';
/** From one source most are refused, which takes the daemon less time than an answer. */
const packetsPerSecond = isNode ? { one: 30_000, many: 15_000 } : { one: 70_000, many: 30_000 };
/** Where clients ask from. What comes from lower ports may be a service, and is watched for loops. */
const clientPorts = '32768-60999';
/** Connections that are open at a time. */
const atOnce = 100;
const forged = 'datagrams with a forged PROXY header each';
/** The answers to these find room in a receive buffer of the usual size. */
const namedFromPort = 200;
const serviceRate = { perSecond: outOfReach, burst: outOfReach };

/** What a daemon holds, once it has collected its garbage, after N requests from one source or from many. */
interface Held {
  readonly bytes: number;
  /** The requests that reached it. */
  readonly received: number;
  /** Those that it served. */
  readonly served: number;
}

/** A datagram from each source, in turn. */
export async function datagramsFromManySources(count: number): Promise<void> {
  const packets = PacketProgram.compile();
  const flood = (sources: number): Promise<Held> =>
    heldAfter(async (daemon) => {
      const rate = sources === 1 ? packetsPerSecond.one : packetsPerSecond.many;
      const { host: to, port } = daemon.target('echo', 'udp');
      const options = { from: firstSource, sources, step, sourcePort: clientPorts, length: 32 };
      const program = await run(
        packets.sending({ to, port, ...options, count, rate, seconds: Math.ceil((2 * count) / rate) }),
      );
      if ((await program.ended).code !== 0) throw new Error(program.complaints);
    });
  const one = await flood(1);
  const many = await flood(count);
  compareHeld('datagrams', 'answered', count, one, many);
}

/** A connection from each source, a hundred at a time. */
export async function connectionsFromManySources(count: number): Promise<void> {
  const one = await heldAfter((daemon) => connectFrom(daemon.target('daytime', 'tcp'), count, () => firstSource));
  const many = await heldAfter((daemon) => connectFrom(daemon.target('daytime', 'tcp'), count, sourceAt));
  compareHeld('connections', 'admitted', count, one, many);
}

/** A datagram for each client, in turn, whom somebody with the address of a proxy names. */
export async function datagramsNamingManyClients(count: number): Promise<void> {
  const { held: one } = await heldAfterNaming(count, () => '198.51.100.1');
  const { held: many, answered } = await heldAfterNaming(count, namedClientAt);
  compareHeld(forged, 'answered', count, one, many);
  const what = `${count.toLocaleString('en')} ${forged}: requests answered of a flow that was named once before`;
  holds(attack, what, answered * 100, { atLeast: 100, unit: '%' });
}

/**
 * What a daemon holds after `count` clients were named, from many ports of one proxy. Meanwhile an honest flow of
 * another proxy, which has no header but the first one, sends a request after each port. Returns the part that was
 * answered, and does not count them with the others.
 */
async function heldAfterNaming(
  count: number,
  client: (index: number) => string,
): Promise<{ readonly held: Held; readonly answered: number }> {
  let asked = 0;
  let answered = 0;
  const { bytes, received, served } = await heldAfter(async (daemon) => {
    const target = daemon.target('proxied', 'udp');
    const honest = await UdpClient.open('127.0.0.1');
    await honest.ask(proxied('192.0.2.1', 40_000, 'named'), target);
    for (asked = 1; (asked - 1) * namedFromPort < count; asked += 1) {
      const forger = await UdpClient.open('127.0.0.2');
      const first = (asked - 1) * namedFromPort;
      const clients = Array.from({ length: Math.min(namedFromPort, count - first) }, (_, index) =>
        client(first + index),
      );
      for (const each of clients) forger.send(proxied(each, 40_000, 'forged'), target);
      await forger.take(clients.length);
      honest.send('not named again', target);
      await honest.take(asked + 1);
    }
    answered = honest.replies.length;
  });
  return { held: { bytes, received: received - asked, served: served - answered }, answered: answered / asked };
}

/** Each in another network. */
function namedClientAt(index: number): string {
  return `10.${(index >>> 8) & 0xff}.${index & 0xff}.${index >>> 16}`;
}

function compareHeld(of: string, done: string, count: number, one: Held, many: Held): void {
  const total = count.toLocaleString('en');
  const most = { atLeast: 0.95 * count, atMost: count };
  holds(attack, `${total} ${of} from one source: received`, one.received, most);
  holds(attack, `${total} ${of} from that many sources: received`, many.received, most);
  holds(attack, `${total} ${of} from that many sources: ${done}`, many.served, most);
  holds(attack, `${total} ${of}: memory after that many sources, minus that after one source`, many.bytes - one.bytes, {
    atMost: mostGrowth,
    unit: ' bytes',
  });
}

/**
 * Starts a daemon, has it attacked, and looks at it when its counters stand still. No limit but those for each source
 * is in reach.
 */
async function heldAfter(act: (daemon: DaemonProcess) => Promise<void>): Promise<Held> {
  // Not a port that a client may have: a datagram from a served port gets no reply.
  const listen = [`tcp://127.0.0.1:${await freePort()}`, `udp://127.0.0.1:${await freePort()}`];
  const daemon = await DaemonProcess.serve({
    ...inOneProcess,
    sockets,
    log: { connections: 'off' },
    defaults: { exempt: [], datagramServiceRate: serviceRate, lingerTimeout: '1s' },
    services: {
      echo: { listen: listen.slice(1) },
      daytime: { listen: listen.slice(0, 1) },
      proxied: {
        type: 'echo',
        listen: [`udp://127.0.0.1:${await freePort()}`],
        proxyProtocol: { from: ['127.0.0.1', '127.0.0.2'] },
        datagramRate: serviceRate,
      },
      probe: { module: probeModule, listen: ['tcp://127.0.0.1:0'] },
    },
  });
  await act(daemon);
  let before = -1;
  let { received, served, active } = await requestsOf(daemon);
  while (received !== before || active > 0) {
    before = received;
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    ({ received, served, active } = await requestsOf(daemon));
  }
  const probe = daemon.target('probe', 'tcp');
  await askProbe(probe);
  const bytes = heldBytes(await askProbe(probe));
  await daemon.stop();
  return { bytes, received, served };
}

async function requestsOf(daemon: DaemonProcess): Promise<{ received: number; served: number; active: number }> {
  const services = (await daemon.state()).counters as unknown as Readonly<Record<string, ServiceCounters>>;
  const { echo, daytime, proxied: named } = services;
  if (echo === undefined || daytime === undefined || named === undefined) throw new Error('the state lacks a service');
  const { accepted, active, refused } = daytime.stream;
  const turnedAway = Object.values(refused).reduce((sum, each) => sum + each, 0);
  return {
    received: echo.datagram.received + named.datagram.received + accepted + turnedAway,
    served: echo.datagram.sent + named.datagram.sent + accepted,
    active,
  };
}

/** Connects so often; each client resets its connection when it has its answer. */
async function connectFrom(
  target: { readonly host: string; readonly port: number },
  count: number,
  source: (index: number) => string,
): Promise<void> {
  let next = 0;
  const connectInTurn = async (): Promise<void> => {
    while (next < count) {
      const localAddress = source(next);
      next += 1;
      await disconnected(connect({ ...target, localAddress }));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, connectInTurn));
}

/** By a reset, so that no port waits in TIME_WAIT. */
async function disconnected(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.on('data', () => socket.resetAndDestroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}

function sourceAt(index: number): string {
  const offset = 256 + index * step;
  return `127.${offset >>> 16}.${(offset >>> 8) & 0xff}.${offset & 0xff}`;
}
