import { describe, expect, it } from 'vitest';
import { hasSockets } from '../../../src/kernel/sockets.ts';
import { Attempts } from '../../../src/client/options.ts';
import { stampSamples } from '../../../src/client/samples.ts';
import { stamp } from '../../../src/client/stamp.ts';
import type { StampEvent } from '../../../src/client/stamp/measurement.ts';
import { hasIpv6, serve } from '../../support/daemon.ts';
import { fakeUdpServer } from '../../support/fake-servers.ts';

const hosts = hasIpv6 ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];

describe.each(['stateless', 'stateful'])('stamp against smallservd, %s', (mode) => {
  it.each(hosts)('measures at %s', async (host) => {
    const daemon = await serve({ stamp: { listen: [`udp://${host}:0`], mode } });
    const { port } = daemon.target('stamp', 'udp', host.replaceAll(/[[\]]/g, ''));
    const events: StampEvent[] = [];
    const result = await stamp(`${host}:${port}`, {
      count: 5,
      intervalMs: 10,
      sizeBytes: 100,
      pathControls: hasSockets ? { dscp: 46, ttl: 9 } : undefined,
      observe: (event) => events.push(event),
    });
    expect(result).toMatchObject({
      outcome: 'ok',
      sent: 5,
      received: 5,
      lost: 0,
      reflectorMode: mode,
      oneWayLoss: mode === 'stateful' ? { forward: 0, backward: 0, unknown: 0 } : undefined,
      clocks: { reflector: { isSynchronized: false } },
    });
    const replies = events.filter((event) => event.kind === 'reply');
    expect(replies.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4]);
    for (const reply of replies) {
      expect(reply.bytes).toBe(100);
      expect(reply.rttMs).toBeGreaterThanOrEqual(0);
      if (hasSockets) expect(reply).toMatchObject({ forward: { ttl: 9, dscp: 46 }, backward: { dscp: 46 } });
    }
  });
});

it('each flow is a session of its own, from its own port', async () => {
  const daemon = await serve({ stamp: { listen: ['udp://127.0.0.1:0'], mode: 'stateful' } });
  const samples = stampSamples(`127.0.0.1:${daemon.target('stamp', 'udp').port}`, {
    count: 7,
    intervalMs: 5,
    flows: 3,
  });
  const sequences: number[] = [];
  for await (const sample of samples) if (sample.kind === 'reply') sequences.push(sample.sequence);
  expect(sequences.toSorted((one, other) => one - other)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  const none = { forward: 0, backward: 0, unknown: 0 };
  const { flows = [], ...result } = await samples.result;
  expect(result).toMatchObject({ sent: 7, received: 7, reflectorMode: 'stateful', oneWayLoss: none });
  expect(flows).toMatchObject([3, 2, 2].map((sent) => ({ sent, received: sent, lost: 0, oneWayLoss: none })));
  expect(new Set(flows.map(({ sourcePort }) => sourcePort)).size).toBe(3);
});

describe('stamp against others', () => {
  it('reports what is not a reply, and that there was none', async () => {
    const { name } = await fakeUdpServer((bytes, reply) => reply(bytes));
    const abort = new AbortController();
    const observe = ({ kind }: StampEvent): void => void (kind === 'wrong' && abort.abort());
    const result = await stamp(name, { count: 1, signal: abort.signal, observe });
    expect(result).toMatchObject({ outcome: 'wrong-answer', received: 0, corrupted: 1, reflectorMode: undefined });
  });

  it('reports silence', async () => {
    const { name } = await fakeUdpServer(() => {});
    expect(await stamp(name, { count: 2, intervalMs: 10, timeoutMs: 50 })).toMatchObject({
      outcome: 'timeout',
      sent: 2,
      received: 0,
      lossRatio: 1,
      times: undefined,
      jitter: undefined,
    });
  });

  it('ends with what it has when interrupted', async () => {
    const { name } = await fakeUdpServer(() => {});
    const abort = new AbortController();
    const observe = (): void => abort.abort();
    expect(await stamp(name, { signal: abort.signal, observe })).toMatchObject({ outcome: 'interrupted', sent: 1 });
  });

  it('fails if nothing listens there', async () => {
    const attempts = new Attempts();
    await expect(stamp('127.0.0.1:1', { attempts })).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      outcome: 'refused',
    });
  });

  it.each([{ count: -1 }, { sizeBytes: 43 }, { sizeBytes: 65_508 }, { intervalMs: 0 }])(
    'rejects %j',
    async (options) => {
      await expect(stamp('127.0.0.1:862', options)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    },
  );
});
