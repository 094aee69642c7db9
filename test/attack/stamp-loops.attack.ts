import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { needs } from '../system/machine.ts';
import { holds } from './figures.ts';
import { Forger, forgerAddress, serverAddress } from './forger.ts';
import { trafficOf } from './packets.ts';
import { answersIn, type Pair, pairsAt, serve, spark } from './storms.ts';

needs('ip');

const stormMs = 5000;
const reflectorPort = 2307;

/** With a number and a time, as a sender of STAMP has them. */
const testPacket = Buffer.concat([Buffer.from('00000007eead4b5f8000000090011234', 'hex'), Buffer.alloc(28)]);

/** Replies of STAMP are never the same twice: the loop rule cannot see them. */
const others = ['stamp', 'echo', 'daytime', 'qotd', 'systat', 'chargen', 'time'];

describe('one forged packet between a reflector and another service', () => {
  test('causes a few answers, and no loop, on high ports', async () => {
    const forger = new Forger();
    const pairs = pairsAt(
      others.map((other) => [other, 'stamp'] as const),
      2007,
      2107,
    );
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
    const capture = await forger.watch(
      pairs.flatMap(({ near, far }) => [near.port, far.port]),
      async () => {
        for (const pair of pairs) await forger.packets.send(forger.network, { ...fromNear(pair), payload: testPacket });
        await pause(stormMs);
      },
    );
    for (const pair of pairs) {
      const { near, far } = answersIn(capture, pair);
      const what = `${pair.near.service} and stamp of two daemons, high ports: answers of both in 5 s`;
      expect(far, `${what}: the forged packet was not answered`).toBeGreaterThan(0);
      holds(2, what, near + far, { atMost: 2 });
    }
  });

  test.each([14, 44, 1400])('of %i bytes is answered with hardly more bytes than it has', async (length) => {
    const forger = new Forger();
    await serve(forger.server, serverAddress, [{ service: 'stamp', port: reflectorPort }]);
    const payload = Buffer.concat([testPacket, Buffer.alloc(1400)]).subarray(0, length);
    const capture = await forger.watch([reflectorPort], () =>
      forger.send({ port: reflectorPort, from: '10.0.0.1', sourcePort: 40_000, payload }),
    );
    const { to, from } = trafficOf(capture, reflectorPort);
    expect([to.packets, from.packets]).toEqual([1, 1]);
    const what = `stamp, a request of ${length} bytes: answer / request`;
    holds(1, what, from.bytes / to.bytes, { atMost: length < 44 ? 1.31 : 1, digits: 3 });
  });
});

/** To the far service, as if from the near one. */
function fromNear(pair: Pair): ReturnType<typeof spark> {
  const { length: _length, ...flood } = spark(pair, forgerAddress, serverAddress);
  return flood;
}
