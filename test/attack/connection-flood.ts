/** Attack 10: more connections than the limits, or the descriptors of the process, allow. */
import { Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { nonZero } from '../../src/server/counters.ts';
import { DaemonProcess, root } from '../support/daemon-process.ts';
import { TcpClient } from '../support/tcp.ts';
import { until, within } from '../support/wait.ts';
import { type Bound, holds } from './figures.ts';
import { descriptorsLeft, settledDescriptors } from './open-descriptors.ts';
import { Regulars } from './regulars.ts';
import { sockets } from './sockets.ts';
import { countsThat, total } from './stream-counts.ts';

interface Target {
  readonly host: string;
  readonly port: number;
}

export interface FloodOptions {
  /** Of the daemon. */
  readonly workers: 0 | 2;
  /** Connections that each flood tries. */
  readonly attempts: number;
}

interface FloodResult {
  readonly accepted: number;
  /** Of the accepted, those who were there at the end: the others made room. */
  readonly held: number;
  readonly refused: number;
  /** Requests of the clients that were there before. */
  readonly asked: number;
  readonly answered: number;
}

const attack = 10;
/** Well-behaved clients of each service. They come from 127.0.0.1, the floods from other addresses. */
const regulars = 3;
/** Attempts under way at a time: fewer than a backlog holds, so that the kernel turns nobody away itself. */
const atOnce = 100;
/** Odd, so that the parts of two workers are rounded up. */
const maxConnectionsPerSource = 51;
const maxConnections = 101;
const burst = 31;
const descriptorLimit = 300;
/** What the daemon leaves free below that, at the least. */
const reserve = 64;
const unlimited = {
  maxConnections: 100_000,
  maxConnectionsPerSource: 100_000,
  connectionRate: { perSecond: 1_000_000, burst: 1_000_000 },
};
const shortage = 'out of file descriptors, refusing new clients';
const relief = 'file descriptors available again';
const all: Bound = { atLeast: 100, atMost: 100, unit: '%' };

/** Floods a service past each of its limits. */
export async function floodPastLimits({ workers, attempts }: FloodOptions): Promise<void> {
  const echo = { type: 'echo', listen: ['tcp://127.0.0.1:0'] };
  const daemon = await DaemonProcess.serve({
    workers,
    sockets,
    log: { connections: 'off' },
    defaults: { exempt: [], ...unlimited },
    services: {
      'by-source': { ...echo, maxConnectionsPerSource },
      'in-all': { ...echo, maxConnections },
      'by-rate': { ...echo, connectionRate: { perSecond: 1, burst } },
    },
  });
  const target = (service: string): Target => daemon.target(service, 'tcp');
  const name = (what: string): string => `workers ${workers}, ${what}`;
  for (const service of ['by-source', 'in-all', 'by-rate']) await isServed(target(service));
  const before = await settledDescriptors(daemon.pid);

  const bySource = await flood(target('by-source'), sources(1), attempts);
  const ofOne = name(`flood from one source: accepted (maxConnectionsPerSource ${maxConnectionsPerSource})`);
  holds(attack, ofOne, bySource.accepted, inParts(maxConnectionsPerSource, workers));

  // So few that each holds more than those already there, who come from one source too: a newcomer takes the place of
  // the one that has the most.
  const inAll = await flood(target('in-all'), sources(10), attempts);
  const ofAll = name(`flood from 10 sources: held, with those already there (maxConnections ${maxConnections})`);
  holds(attack, ofAll, inAll.held + regulars, inParts(maxConnections, workers));

  const beforeMs = performance.now();
  const byRate = await flood(target('by-rate'), sources(1), attempts);
  // Each worker gives out one more every second.
  const more = Math.ceil((performance.now() - beforeMs) / 1000) * Math.max(1, workers);
  const { atLeast, atMost } = inParts(burst, workers);
  const ofRate = name(`flood from one source: accepted (connectionRate 1 a second, burst ${burst})`);
  holds(attack, ofRate, byRate.accepted, { atLeast, atMost: atMost + more });

  const floods = [bySource, inAll, byRate];
  const sum = (key: keyof FloodResult): number => floods.reduce((soFar, each) => soFar + each[key], 0);
  holds(attack, name('these floods: refused'), sum('refused'), exactly(3 * attempts - sum('accepted')));
  holds(attack, name('clients already there: requests answered'), percent(sum('answered'), sum('asked')), all);
  holds(attack, name('these floods: descriptors left open'), await descriptorsLeft(daemon.pid, before), exactly(0));
  for (const service of ['by-source', 'in-all', 'by-rate']) await isServed(target(service));
  expect(await turnedAway(daemon, sum('refused') + inAll.accepted - inAll.held)).toEqual({
    'by-source': { 'source-limit': bySource.refused },
    'in-all': { 'limit or evicted': inAll.refused + inAll.accepted - inAll.held },
    'by-rate': { rate: byRate.refused },
  });
}

/** Floods a daemon whose limits are far above the descriptors that it may have. */
export async function floodPastDescriptors({ workers, attempts }: FloodOptions): Promise<void> {
  const program = [process.execPath, join(root, 'dist/smallservd.js')];
  const daemon = await DaemonProcess.serve(
    {
      workers,
      sockets,
      log: { connections: 'off' },
      defaults: { exempt: [], ...unlimited },
      services: { echo: { listen: ['tcp://127.0.0.1:0'] } },
    },
    { command: ['sh', '-c', `ulimit -n ${descriptorLimit} && exec "$@"`, 'sh', ...program] },
  );
  const target = daemon.target('echo', 'tcp');
  const name = (what: string): string => `workers ${workers}, ${descriptorLimit} descriptors per process: ${what}`;
  await isServed(target);
  const before = await settledDescriptors(daemon.pid);
  const { accepted, held, refused, asked, answered } = await flood(target, sources(10), attempts);

  const warning = await daemon.line(shortage);
  const budget = Number(warning['budget']);
  const processes = Math.max(1, workers);
  holds(attack, name('clients that a process has room for'), budget, {
    atLeast: descriptorLimit / 2,
    atMost: descriptorLimit - reserve,
  });
  holds(attack, name('clients held, with those already there'), held + regulars, {
    atLeast: budget,
    atMost: budget * processes,
  });
  holds(attack, name('refused'), refused, exactly(attempts - accepted));
  holds(attack, name('clients already there: requests answered'), percent(answered, asked), all);
  holds(attack, name('descriptors left open'), await descriptorsLeft(daemon.pid, before), exactly(0));
  await isServed(target);

  const shortages = daemon.linesWith(shortage);
  holds(attack, name('log lines about it'), shortages.length, { atLeast: 1, atMost: processes });
  expect(new Set(shortages.map(({ level }) => level))).toEqual(new Set(['warn']));
  await daemon.waitFor(() => daemon.linesWith(relief).length === shortages.length, 'the line that it is over');
  const told = daemon.linesWith(relief).reduce((sum, line) => sum + Number(line['clientsRefused']), 0);
  const away = refused + accepted - held;
  const { echo } = await turnedAway(daemon, away);
  expect(echo).toEqual({ 'limit or evicted': away });
  // The others made room before they had their answer.
  expect(told).toBeLessThanOrEqual(refused);
}

/** A flood of a service of which others are clients already. When it resolves all have gone. */
async function flood(target: Target, from: readonly string[], attempts: number): Promise<FloodResult> {
  const there = await Regulars.connect(target, regulars);
  const crowd = new Crowd(target, from);
  await crowd.come(attempts);
  const { asked } = there;
  await until(() => there.answered > asked, 'answers of those already there, while all of the flood stay');
  const { held } = crowd;
  crowd.leave();
  await there.stop();
  const { accepted, refused, failed } = crowd;
  expect(failed, 'connections that the kernel refused').toBe(0);
  return { accepted, held, refused, asked: there.asked, answered: there.answered };
}

/** Clients that say a byte, and stay if they are answered. */
class Crowd {
  accepted = 0;
  refused = 0;
  /** There was nobody to refuse them. */
  failed = 0;
  readonly #target: Target;
  readonly #sources: readonly string[];
  readonly #there = new Set<Socket>();

  constructor(target: Target, from: readonly string[]) {
    this.#target = target;
    this.#sources = from;
    onTestFinished(() => this.leave());
  }

  get held(): number {
    return this.#there.size;
  }

  async come(attempts: number): Promise<void> {
    let begun = 0;
    const comeOneByOne = async (): Promise<void> => {
      while (begun < attempts) {
        const localAddress = this.#sources[begun % this.#sources.length] ?? '';
        begun += 1;
        await within(this.#enter(localAddress), 'a connection of the flood to be answered or refused');
      }
    };
    await Promise.all(Array.from({ length: atOnce }, comeOneByOne));
  }

  leave(): void {
    for (const socket of this.#there) socket.destroy();
    this.#there.clear();
  }

  async #enter(localAddress: string): Promise<void> {
    const socket = new Socket();
    let isConnected = false;
    let isAccepted = false;
    await new Promise<void>((resolve) => {
      socket.on('error', () => {});
      socket.once('close', () => {
        this.#there.delete(socket);
        resolve();
      });
      socket.once('data', () => {
        isAccepted = true;
        this.#there.add(socket);
        resolve();
      });
      socket.connect({ ...this.#target, localAddress }, () => {
        isConnected = true;
        socket.write('!');
      });
    });
    if (isAccepted) this.accepted += 1;
    else if (isConnected) this.refused += 1;
    else this.failed += 1;
  }
}

async function isServed(target: Target): Promise<void> {
  const client = await TcpClient.connect(target);
  client.finish('a new client');
  expect((await client.takeAll()).toString()).toBe('a new client');
}

/**
 * By service, the reasons of all that were refused or made room. One that makes room before its answer has come cannot
 * tell whether it was refused, so where there is such a limit the two are one.
 */
async function turnedAway(daemon: DaemonProcess, expected: number): Promise<Record<string, Record<string, number>>> {
  const counts = await countsThat(daemon, (services) => {
    const sums = Object.values(services).map(({ refused, closed }) => total(refused) + closed.evicted);
    return sums.reduce((sum, each) => sum + each, 0) >= expected;
  });
  return Object.fromEntries(
    Object.entries(counts).map(([service, { refused, closed }]) => {
      const { limit, ...others } = refused;
      return [service, nonZero({ ...others, 'limit or evicted': limit + closed.evicted })];
    }),
  );
}

function sources(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `127.0.0.${index + 2}`);
}

/** Each worker has its part of a limit, rounded up; the system deals connections out as it likes. */
function inParts(limit: number, workers: number): { readonly atLeast: number; readonly atMost: number } {
  if (workers === 0) return { atLeast: limit, atMost: limit };
  return { atLeast: Math.ceil(limit / workers), atMost: limit + workers - 1 };
}

function exactly(count: number): Bound {
  return { atLeast: count, atMost: count };
}

function percent(part: number, whole: number): number {
  return (part / whole) * 100;
}
