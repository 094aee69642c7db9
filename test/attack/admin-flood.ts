/** Attack 10, of the admin endpoint: whoever holds its connections, a health probe is answered. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Socket } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { DaemonProcess } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/wait.ts';
import { type Bound, holds } from './figures.ts';

interface Target {
  readonly host: string;
  readonly port: number;
}

interface CrowdKind {
  readonly what: string;
  readonly count: number;
  /** What each does once it is there. */
  readonly act: (socket: Socket) => void;
  /** Whether each comes back when it is gone. */
  readonly comesBack: boolean;
  /** How soon, where it is not `awayMs`. */
  readonly awayMs?: number;
}

const attack = 10;
const all: Bound = { atLeast: 100, atMost: 100, unit: '%' };
const probesOfACrowd = 500;
/**
 * How long one stays away that comes back: more connections than the daemon accepts would be the kernel's to turn away.
 */
const awayMs = 20;
const slowByteMs = 1000;
const header = 'GET /config HTTP/1.1\r\nHost: localhost\r\n';

const crowds: readonly CrowdKind[] = [
  { what: '24 idle connections', count: 24, act: () => {}, comesBack: false },
  { what: '240 idle connections', count: 240, act: () => {}, comesBack: false },
  { what: '24 headers at a byte a second', count: 24, act: sendSlowly, comesBack: true },
  { what: '240 headers at a byte a second', count: 240, act: sendSlowly, comesBack: false },
  { what: '24 clients that never read a /config of 1 MB', count: 24, act: askForMuch, comesBack: false },
  { what: '240 clients that never read a /config of 1 MB', count: 240, act: askForMuch, comesBack: false },
  { what: '8 clients that ask for /status in a loop', count: 8, act: askForStatus, comesBack: true, awayMs: 0 },
  {
    what: '24 clients that connect and reset in a loop',
    count: 24,
    act: (socket) => socket.resetAndDestroy(),
    comesBack: true,
  },
];

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
  for (const kind of crowds) {
    const crowd = new Crowd(target, kind);
    await crowd.come();
    const answers: string[] = [];
    for (let probe = 0; probe < probesOfACrowd; probe += 1) answers.push(await answerOf(target));
    crowd.leave();
    const answered = answers.filter((answer) => answer === 'ok').length;
    const what = `admin endpoint: /livez requests answered while ${kind.what} take the places`;
    holds(attack, what, (answered / probesOfACrowd) * 100, all);
    expect.soft(answers, what).toEqual(answers.map(() => 'ok'));
  }
  const deaths = daemon.linesWith('admin process exited, restarting').length;
  holds(attack, 'admin endpoint: exits of its process meanwhile', deaths, { atLeast: 0, atMost: 0 });
}

/** Connections that stay until they are cut. */
class Crowd {
  readonly #target: Target;
  readonly #kind: CrowdKind;
  readonly #there = new Set<Socket>();
  #came = 0;
  #isOver = false;

  constructor(target: Target, kind: CrowdKind) {
    this.#target = target;
    this.#kind = kind;
    onTestFinished(() => this.leave());
  }

  async come(): Promise<void> {
    for (let each = 0; each < this.#kind.count; each += 1) this.#enter();
    await until(() => this.#came >= this.#kind.count, `the connections of ${this.#kind.what}`);
  }

  leave(): void {
    this.#isOver = true;
    for (const socket of this.#there) socket.destroy();
  }

  #enter(): void {
    if (this.#isOver) return;
    const socket = new Socket();
    this.#there.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#there.delete(socket);
      if (this.#kind.comesBack) setTimeout(() => this.#enter(), this.#kind.awayMs ?? awayMs);
    });
    socket.connect(this.#target, () => {
      this.#came += 1;
      this.#kind.act(socket);
    });
  }
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

function askForStatus(socket: Socket): void {
  socket.resume().write('GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n');
}

function askForMuch(socket: Socket): void {
  socket.pause();
  socket.write(`${header}\r\n`);
}

/** What a probe gets: `ok`, another status, or how it was cut. */
async function answerOf(target: Target): Promise<string> {
  try {
    const asked = request({ ...target, path: '/livez', agent: false }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode === 200 ? 'ok' : `status ${response.statusCode}`;
  } catch (error) {
    return String(error);
  }
}
