import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startInetd } from '../system/inetds.ts';
import { needs } from '../system/machine.ts';
import { comparedInetds } from './compared-inetds.ts';
import { compare, holds } from './figures.ts';
import { Forger, forgerAddress, serverAddress } from './forger.ts';
import { type Capture, type Flood, trafficOf } from './packets.ts';
import { servicePorts } from './reflection.ts';
import { answersIn, type Pair, pairsAt, serve, spark } from './storms.ts';

needs('ip', 'xinetd', 'inetutils-inetd');

const stormMs = 5000;
const none = { atMost: 0, atLeast: 0 };

const wellKnown = Object.entries(servicePorts).map(([service, port]) => ({ service, port }));

const reflectorPorts = [1900, 2049, 3702, 5353, 11_211];

/** The storms that the inetds are known for. */
const inetdPairs: readonly Pair[] = [
  { near: { service: 'echo', port: 7 }, far: { service: 'echo', port: 7 } },
  { near: { service: 'echo', port: 7 }, far: { service: 'chargen', port: 19 } },
];

function namesOf({ near, far, sparkLength }: Pair): string {
  return `${near.service} and ${far.service}${sparkLength === 0 ? ', begun by an empty datagram,' : ''}`;
}

function whatOf(pair: Pair): string {
  const { near, far } = pair;
  return `${namesOf(pair)}, ports ${near.port} and ${far.port}: answers in 5 s`;
}

/** All answers of both servers. */
async function exchanged(forger: Forger, pairs: readonly Pair[]): Promise<number> {
  const capture = await storm(forger, pairs);
  return sum(Object.values(capture.ports).map(({ from }) => from.packets)) - pairs.length;
}

function alone(port: number): readonly [number, number] {
  return [port, port];
}

function oneFromEach(first: number, last: number, port: number): Omit<Flood, 'to'> {
  const range = `${first}-${last}`;
  return { port, from: '10.1.0.1', sourcePort: range, count: last - first + 1, rate: 20_000, length: 4 };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** One daemon at each end of the cable. The forged packets are sent at the near end: the far one cannot tell. */
async function storm(forger: Forger, pairs: readonly Pair[]): Promise<Capture> {
  const ports = pairs.flatMap(({ near, far }) => [near.port, far.port]);
  return await forger.watch([...new Set(ports)], async () => {
    for (const pair of pairs) {
      await earlyInSecond();
      await forger.packets.send(forger.network, spark(pair, forgerAddress, serverAddress));
    }
    await pause(stormMs);
  });
}

/**
 * Resolves in the first half of a second: no clock service says something new in the middle of a loop, which takes a
 * few milliseconds.
 */
async function earlyInSecond(): Promise<void> {
  const ms = Date.now() % 1000;
  if (ms >= 500) await pause(1000 - ms);
}

/** Loops in which every answer repeats what was said before. */
const seen = [
  ['echo', 'echo'],
  ['echo', 'daytime'],
  ['echo', 'time'],
  ['daytime', 'daytime'],
  ['time', 'time'],
  ['daytime', 'time'],
  // Random answers, some of them empty: one storm alone may end early by chance.
  ...Array.from({ length: 8 }, () => ['echo', 'chargen'] as const),
  ['echo', 'qotd'],
  ['echo', 'systat'],
  ['systat', 'systat'],
] as const;

/** Random answers: a loop looks like any client. */
const unseen = [
  ['chargen', 'chargen'],
  ['qotd', 'qotd'],
  ['daytime', 'qotd'],
  ['time', 'chargen'],
] as const;

const seenPairs = pairsAt(seen, 2007, 2107);

/** Echo has nothing to send back but nothing. */
const emptyPairs = pairsAt([['echo', 'echo']], 2207, 2307).map((pair) => ({ ...pair, sparkLength: 0 }));

describe('one forged packet between two servers', () => {
  test('loops within bounds on high ports', async () => {
    const forger = new Forger();
    const pairs = [...pairsAt([...seen, ...unseen], 2007, 2107), ...emptyPairs];
    await serve(
      forger.network,
      forgerAddress,
      pairs.map(({ near }) => near),
    );
    await serve(
      forger.server,
      serverAddress,
      pairs.map(({ far }) => far),
    );
    const capture = await storm(forger, pairs);
    for (const kinds of new Set(pairs.map(namesOf))) {
      const answers = pairs.filter((pair) => namesOf(pair) === kinds).map((pair) => answersIn(capture, pair));
      expect(
        Math.min(...answers.map(({ far }) => far)),
        `${kinds}: the forged packet was not answered`,
      ).toBeGreaterThan(0);
      const most = Math.max(...answers.flatMap(({ near, far }) => [near, far]));
      const what = `${kinds} of two daemons, high ports: answers of one of them in 5 s`;
      const isSeen = [...seenPairs, ...emptyPairs].some((pair) => kinds === namesOf(pair));
      if (isSeen) holds(2, what, most, { atMost: 8 });
      else holds(2, `${what} (burst 400, 200/s)`, most, { atMost: 1400 });
    }
  });

  test('starts no loop on the IANA-assigned ports', async () => {
    const forger = new Forger();
    await serve(forger.network, forgerAddress, wellKnown);
    await serve(forger.server, serverAddress, wellKnown);
    const pairs = wellKnown.flatMap((near) => wellKnown.map((far) => ({ near, far })));
    const answers = await exchanged(forger, pairs);
    holds(2, 'each of the six services and each other, ports below 1024: answers in 5 s', answers, none);
    // No pair has more answers than all together.
    for (const pair of inetdPairs) holds(2, whatOf(pair), answers, none);
  });

  test.each(comparedInetds)('is measured between two instances of %s, for comparison', async (inetd) => {
    const each = await Promise.all(
      inetdPairs.map(async (pair) => {
        const forger = new Forger();
        await startInetd(inetd, forger.network);
        await startInetd(inetd, forger.server);
        return await exchanged(forger, [pair]);
      }),
    );
    for (const [index, pair] of inetdPairs.entries()) compare(inetd, 2, whatOf(pair), each[index] ?? NaN);
  });
});

describe('one packet from each possible server port', () => {
  test('is not answered', async () => {
    const forger = new Forger();
    const highPorts = [2007, 13_007];
    await serve(forger.server, serverAddress, [...wellKnown, ...highPorts.map((port) => ({ service: 'echo', port }))]);
    const served = wellKnown.map(({ port }) => port);
    const kinds = [
      { name: 'each port below 1024', ranges: [[0, 1023]] },
      { name: 'each port of a known reflector (1900, 2049, 3702, 5353, 11211)', ranges: reflectorPorts.map(alone) },
      { name: 'each UDP port of the daemon, two above 1023 among them,', ranges: [...served, ...highPorts].map(alone) },
    ] as const;
    for (const { name, ranges } of kinds) {
      const capture = await forger.watch(served, async () => {
        for (const [first, last] of ranges) {
          for (const port of served) await forger.send(oneFromEach(first, last, port));
        }
      });
      // Forged packets come from ports that are served, too.
      const isForged = (port: number): boolean => ranges.some(([first, last]) => first <= port && port <= last);
      const forged = served.filter(isForged).length * served.length;
      const answers = sum(served.map((port) => trafficOf(capture, port).from.packets)) - forged;
      holds(2, `${name} to each of the six services: answers`, answers, none);
    }
    expect(await forger.answering(served)).toBe(served.length);
  });
});
