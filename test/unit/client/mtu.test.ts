import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { mtu, type MtuEvent } from '../../../src/client/mtu.ts';
import { Deferred } from '../../../src/deferred.ts';
import { hasIpv6, serve } from '../../support/daemon.ts';
import { fakeUdpServer } from '../../support/fake-servers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Real paths are in test/system/mtu.system.test.ts. */
describe('mtu', () => {
  it.each<[host: string, headerBytes: number, largestBytes: number]>([
    ['127.0.0.1', 28, 65_535],
    ...(hasIpv6 ? ([['[::1]', 48, 65_575]] satisfies [string, number, number][]) : []),
  ])('measures the loopback interface at %s', async (host, headerBytes, largestBytes) => {
    const daemon = await serve({ echo: { listen: [`udp://${host}:0`] } });
    const address = host.replaceAll(/[[\]]/g, '');
    const { port } = daemon.target('echo', 'udp', address);
    const events: MtuEvent[] = [];
    const result = await mtu(`${host}:${port}`, { observe: (event) => events.push(event) });
    // The MTU of the interface is 65536. An IPv4 packet is smaller.
    const mtuBytes = Math.min(65_536, largestBytes);
    expect(result).toMatchObject({ address, port, protocol: 'udp', headerBytes, mtuBytes, largestBytes });
    expect(result.forward).toMatchObject({ atLeastBytes: mtuBytes, atMostBytes: mtuBytes });
    expect(events[0]).toEqual({ kind: 'started', address });
    expect(events.filter(({ kind }) => kind === 'probe')).toHaveLength(result.probes);
  });

  it('reports silence, a closed port, and what is not an echo service', async () => {
    const { name } = await fakeUdpServer(() => {});
    await expect(mtu(name, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'NO_ANSWER', outcome: 'timeout' });
    await expect(mtu('127.0.0.1:1')).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      outcome: 'refused',
      message: 'cannot reach 127.0.0.1:1 over UDP: refused by 127.0.0.1 (port unreachable)',
    });
    const other = await fakeUdpServer((_bytes, reply) => reply('something else'));
    await expect(mtu(other.name)).rejects.toMatchObject({ code: 'ANSWER_WRONG', outcome: 'wrong-answer' });
  });

  it('waits for the timeout at most if a server was slow and then is silent', async () => {
    const clock = new FakeClock();
    const asked = new Deferred<() => void>();
    const { name } = await fakeUdpServer((bytes, send) => {
      if (bytes.length <= 100) asked.resolve(() => send(bytes));
    });
    const abort = new AbortController();
    const [sizes, timesMs]: [Set<number>, number[]] = [new Set(), []];
    const observe = (event: MtuEvent): void => {
      if (event.kind !== 'probe') return;
      sizes.add(event.bytes);
      timesMs.push(clock.nowMs);
    };
    const options = { timeoutMs: 3000, tries: 3, clock, signal: abort.signal, observe };
    const measured = mtu(name, options).catch((error: unknown) => error);
    const reply = await asked.promise;
    clock.advance(900);
    reply();
    while (sizes.size < 2) await setImmediate();
    while (sizes.size < 3) {
      clock.advance(100);
      await setImmediate();
    }
    abort.abort();
    expect(await measured).toMatchObject({ code: 'INTERRUPTED' });
    expect(timesMs).toEqual([0, 900, 1900, 2900, 3900]);
  });

  it('can be interrupted', async () => {
    const { name } = await fakeUdpServer(() => {});
    const abort = new AbortController();
    const observe = (): void => abort.abort();
    await expect(mtu(name, { signal: abort.signal, observe })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it.each([
    ['127.0.0.1', { tries: 0 }],
    ['127.0.0.1', { icmp: true, pathControls: { sourcePort: 7 } }],
    ['127.0.0.1:7', { icmp: true }],
    ['224.0.0.1', {}],
  ])('rejects %s with %j', async (host, options) => {
    await expect(mtu(host, options)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });
});
