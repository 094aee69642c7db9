/** Attack 10, of the admin endpoint: whoever holds its connections, a health probe is answered. */
import type { Socket } from 'node:net';
import { expect } from 'vitest';
import { answerOf, askFor, Crowd, type CrowdKind, type Target } from '../support/admin-crowd.ts';
import { DaemonProcess } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { type Bound, holds } from './figures.ts';

const attack = 10;
const all: Bound = { atLeast: 100, atMost: 100, unit: '%' };
const probesOfACrowd = 500;
const slowByteMs = 1000;
const header = 'GET /config HTTP/1.1\r\nHost: localhost\r\n';

const crowds: readonly CrowdKind[] = [
  { what: '24 idle connections', count: 24, act: () => {}, comesBack: false },
  { what: '240 idle connections', count: 240, act: () => {}, comesBack: false },
  { what: '24 headers at a byte a second', count: 24, act: sendSlowly, comesBack: true },
  { what: '240 headers at a byte a second', count: 240, act: sendSlowly, comesBack: false },
  { what: '24 clients that never read a /config of 1 MB', count: 24, act: askFor('/config'), comesBack: false },
  { what: '240 clients that never read a /config of 1 MB', count: 240, act: askFor('/config'), comesBack: false },
  { what: '8 clients that ask for /status in a loop', count: 8, act: askForStatus, comesBack: true, awayMs: 0 },
  {
    what: '24 clients that connect and reset in a loop',
    count: 24,
    act: (socket) => socket.resetAndDestroy(),
    comesBack: true,
  },
  { what: '60 clients that send a body without end', count: 60, act: sendForever, comesBack: true },
];

const manyServices = 200;
const bothTransports = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'];
const probesOfALargeCrowd = 100;

const largeCrowds: readonly CrowdKind[] = ['/metrics', '/status', '/events'].map((path) => ({
  what: `hundreds of clients a second that never read a ${path} of ${manyServices} services`,
  count: 8,
  act: askFor(path),
  comesBack: false,
  stay: 400,
}));

/** They make a /config that the buffers of a connection do not hold. */
const deniedNetworks = 19_000;

/** Holds the endpoint of a daemon in every way, and asks for /livez meanwhile. */
export async function holdAdminEndpoint(): Promise<void> {
  const target = { host: '127.0.0.1', port: await freePort() };
  const deny = Array.from(
    { length: deniedNetworks },
    (_, index) => `2001:db8:aaaa:bbbb:cccc:dddd:eeee:${(0x1000 + index).toString(16)}`,
  );
  const daemon = await DaemonProcess.serve({
    workers: 2,
    admin: { listen: `tcp://${target.host}:${target.port}` },
    services: { echo: { deny, listen: ['tcp://127.0.0.1:0'] } },
  });
  await probeAmid(crowds, probesOfACrowd, target);
  noteDeaths(daemon, '');
}

/** The same where every page is long, and clients keep coming. */
export async function holdLargeAdminEndpoint(): Promise<void> {
  const target = { host: '127.0.0.1', port: await freePort() };
  const services = Object.fromEntries(
    Array.from({ length: manyServices }, (_, index) => [`echo-${index}`, { type: 'echo', listen: bothTransports }]),
  );
  const daemon = await DaemonProcess.serve({
    workers: 2,
    admin: { listen: `tcp://${target.host}:${target.port}` },
    services,
  });
  await probeAmid(largeCrowds, probesOfALargeCrowd, target);
  noteDeaths(daemon, ` with ${manyServices} services`);
}

async function probeAmid(kinds: readonly CrowdKind[], probes: number, target: Target): Promise<void> {
  for (const kind of kinds) {
    const crowd = new Crowd(target, kind);
    await crowd.come();
    const answers: string[] = [];
    for (let probe = 0; probe < probes; probe += 1) answers.push(await answerOf(target));
    crowd.leave();
    const answered = answers.filter((answer) => answer === 'ok').length;
    const what = `admin endpoint: /livez requests answered while ${kind.what} take the places`;
    holds(attack, what, (answered / probes) * 100, all);
    expect.soft(answers, what).toEqual(answers.map(() => 'ok'));
  }
}

function noteDeaths(daemon: DaemonProcess, where: string): void {
  const deaths = daemon.linesWith('admin process exited, restarting').length;
  holds(attack, `admin endpoint${where}: exits of its process meanwhile`, deaths, { atLeast: 0, atMost: 0 });
}

function sendSlowly(socket: Socket): void {
  let sent = 0;
  const send = (): void => {
    socket.write(header[sent % header.length] ?? '');
    sent += 1;
  };
  send();
  const timer = setInterval(send, slowByteMs);
  socket.on('close', () => clearInterval(timer));
  socket.resume();
}

function sendForever(socket: Socket): void {
  const piece = Buffer.alloc(65_536);
  const send = (): void => {
    if (socket.writable && socket.write(piece)) setImmediate(send);
  };
  socket.resume().on('drain', send).write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n', send);
}

function askForStatus(socket: Socket): void {
  socket.resume().write('GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n');
}
