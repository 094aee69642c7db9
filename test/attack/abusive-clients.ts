/** Attack 11: clients that reset, half-close or vanish at every step of a connection. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { LoadResult } from '../../src/client/index.ts';
import type { StreamCounters } from '../../src/server/counters.ts';
import { maxUndeliveredBytes } from '../../src/server/transport/kernel-stream-socket.ts';
import { DaemonProcess, root } from '../support/daemon-process.ts';
import { clientProgram, Network } from '../system/machine.ts';
import { Program, run } from '../system/program.ts';
import { type Bound, holds } from './figures.ts';
import { descriptorsLeft, settledDescriptors } from './open-descriptors.ts';
import { sockets } from './sockets.ts';
import { countsThat, type StreamCounts } from './stream-counts.ts';

type Inside = (argv: readonly string[]) => readonly string[];

interface Abuse {
  readonly host: string;
  readonly clients: number;
  readonly manners: readonly ('reset' | 'half-close' | 'vanish')[];
}

const attack = 11;
const services = ['echo', 'discard', 'chargen', 'qotd', 'systat', 'daytime', 'time'];
const fixture = fileURLToPath(new URL('fixtures/abusive-clients.js', import.meta.url));
/** A state of TCP, as the kernel numbers it. */
const listening = '0A';
const none: Bound = { atLeast: 0, atMost: 0 };
/** What well-behaved clients ask for: one of the two keeps its connections, the other makes one for each request. */
const regularServices = ['echo', 'daytime'];
const regularsOfEach = 5;
/** Requests a second, of each. */
const regularRate = 50;

/** Clients on loopback that reset and half-close. */
export async function goAtEveryStep(clients: number): Promise<void> {
  await survive(
    `${clients.toLocaleString('en')} clients that reset or half-close`,
    (argv) => argv,
    async (abuse) => {
      await abuse({ host: '127.0.0.1', clients, manners: ['reset', 'half-close'] });
    },
  );
}

/** The same, and as many that vanish: nothing of them comes any more, as their cables are cut. Needs root. */
export async function vanishAtEveryStep(clients: number, cables: number): Promise<void> {
  const network = Network.make({ ipv6: false });
  const inside: Inside = (argv) => network.inside(argv);
  const vanishing = Math.floor(clients / 3 / cables);
  const staying = clients - vanishing * cables;
  await survive(`${clients.toLocaleString('en')} clients that reset, half-close or vanish`, inside, async (abuse) => {
    await abuse({ host: '127.0.0.1', clients: staying, manners: ['reset', 'half-close'] });
    for (let cable = 1; cable <= cables; cable += 1) {
      const outside = Network.make({ ipv6: false });
      const { far } = network.join(outside, [`10.0.${cable}.1/24`], [`10.0.${cable}.2/24`]);
      const from: Inside = (argv) => outside.inside(argv);
      await abuse({ host: `10.0.${cable}.1`, clients: vanishing, manners: ['vanish'] }, from);
      outside.ip('link', 'set', far, 'down');
    }
  });
}

/**
 * Serves well-behaved clients and those of `attackers`, and looks at what is left once these have had all their time.
 */
async function survive(
  who: string,
  inside: Inside,
  attackers: (abuse: (each: Abuse, from?: Inside) => Promise<void>) => Promise<void>,
): Promise<void> {
  const daemon = await serve(inside);
  const ports = Object.fromEntries(services.map((name) => [name, daemon.target(name, 'tcp', '0.0.0.0').port]));
  const before = await settledDescriptors(daemon.pid);
  const regulars = regularServices.map((service) => {
    const target = `127.0.0.1:${ports[service]}`;
    const options = ['--service', service, '--connections', String(regularsOfEach), '--rate', String(regularRate)];
    return new Program(inside([...clientProgram, 'load', target, ...options, '--duration', '2m', '--json']));
  });
  await countsThat(daemon, (counts) => regularServices.every((name) => (counts[name]?.accepted ?? 0) > 0));

  let abusers = 0;
  await attackers(async ({ clients, ...abuse }, from = inside) => {
    abusers += clients;
    const crowd = new Program(from([process.execPath, fixture, JSON.stringify({ ...abuse, ports, clients })]));
    await crowd.says(/^done$/m, 30_000);
  });
  // The regulars are asked about only when all others have had their time.
  const most = regularServices.length * regularsOfEach;
  await countsThat(daemon, (counts) => acceptedOf(counts) > abusers && activeOf(counts) <= most);
  const results = await Promise.all(regulars.map(resultOf));
  const answered = results.reduce((sum, result) => sum + result.answered, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  // Workers tell what they have counted one after the other: none may stand as it stood before.
  const ofRegulars = results.find(({ service }) => service === 'daytime')?.answered ?? 0;
  const counts = await countsThat(
    daemon,
    (now) => acceptedOf(now) >= abusers + ofRegulars + regularsOfEach && activeOf(now) === 0,
  );

  const accepted = acceptedOf(counts);
  holds(attack, `${who}: connections, with those of regular clients`, accepted, {
    atLeast: abusers + ofRegulars,
  });
  holds(attack, `${who}: connections left`, activeOf(counts), none);
  holds(attack, `${who}: descriptors left open`, await descriptorsLeft(daemon.pid, before), none);
  const kernelBytes = await unacknowledgedBytes(inside, Object.values(ports));
  holds(attack, `${who}: bytes that the kernel still holds for each`, kernelBytes / abusers, {
    atMost: maxUndeliveredBytes / 100,
    unit: ' bytes',
    digits: 1,
  });
  // They did what they were to do.
  for (const reason of ['completed', 'client-reset', 'stalled'] as const)
    expect(
      sumOf(counts, (service) => service.closed[reason]),
      reason,
    ).toBeGreaterThan(0);
  expect(answered).toBeGreaterThan(0);
  const all: Bound = { atLeast: 100, atMost: 100, unit: '%' };
  holds(attack, `${who}: requests of regular clients answered`, (answered / (answered + failed)) * 100, all);
}

/** What waits in the kernel for clients of these ports, open or not: proc(5), /proc/net/tcp. */
async function unacknowledgedBytes(inside: Inside, ports: readonly number[]): Promise<number> {
  const listing = await run(inside(['cat', '/proc/net/tcp']));
  const locals = ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`);
  return listing.output
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address = '', , state]) => state !== listening && locals.some((local) => address.endsWith(local)))
    .reduce((sum, [, , , , queues = '']) => sum + Number.parseInt(queues, 16), 0);
}

async function serve(inside: Inside): Promise<DaemonProcess> {
  const [program = '', ...first] = inside([process.execPath, join(root, 'dist/smallservd.js')]);
  const config = {
    workers: 2,
    sockets,
    log: { connections: 'off' },
    defaults: {
      exempt: [],
      maxConnections: 100_000,
      maxConnectionsPerSource: 100_000,
      connectionRate: { perSecond: 1_000_000, burst: 1_000_000 },
      idleTimeout: '2s',
      stallTimeout: '1s',
      lingerTimeout: '1s',
      keepAlive: { enabled: true, delay: '1s' },
    },
    services: Object.fromEntries(services.map((name) => [name, { listen: ['tcp4://*:0'] }])),
  };
  return DaemonProcess.serve(config, { command: [program, ...first] });
}

/** Ends a load, and tells how it went. */
async function resultOf(load: Program): Promise<LoadResult> {
  load.signal('SIGINT');
  await load.end();
  return JSON.parse(load.output) as LoadResult;
}

function acceptedOf(counts: StreamCounts): number {
  return sumOf(counts, (service) => service.accepted);
}

function activeOf(counts: StreamCounts): number {
  return sumOf(counts, (service) => service.active);
}

function sumOf(counts: StreamCounts, count: (service: StreamCounters) => number): number {
  return Object.values(counts).reduce((sum, service) => sum + count(service), 0);
}
