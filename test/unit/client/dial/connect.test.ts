import * as fc from 'fast-check';
import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type ConnectOptions, connect, interleave } from '../../../../src/client/dial/connect.ts';
import type { AddressLookup, HostAddress } from '../../../../src/client/dial/resolve-host.ts';
import { fakeTcpServer, silentTcpServer } from '../../../support/fake-servers.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/wait.ts';

const address = (family: 'ipv4' | 'ipv6', name: number): HostAddress => ({ address: `${family}-${name}`, family });

describe('interleave', () => {
  test.each([
    ['a single address', '4', '4'],
    ['one family', '444', '444'],
    ['equal counts', '6644', '6464'],
    ['more of the first family', '66644', '64646'],
    ['more of the second family', '64444', '64444'],
    ['already alternating families', '4646', '4646'],
    ['a single address of the first family', '4666', '4666'],
  ])('handles %s (%s)', (_what, given, taken) => {
    const addresses = Array.from(given, (family, name) => address(family === '6' ? 'ipv6' : 'ipv4', name));
    expect(
      interleave(addresses)
        .map(({ family }) => family.slice(-1))
        .join(''),
    ).toBe(taken);
  });

  test('keeps all addresses, the first in front, and the order within each family', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('ipv4' as const, 'ipv6' as const)), (families) => {
        const addresses = families.map((family, name) => address(family, name));
        const taken = interleave(addresses);
        expect(taken[0]).toEqual(addresses[0]);
        expect(taken).toHaveLength(addresses.length);
        for (const family of ['ipv4', 'ipv6'])
          expect(taken.filter((each) => each.family === family)).toEqual(
            addresses.filter((each) => each.family === family),
          );
        // Both families take turns as long as both have addresses left.
        const fewer = Math.min(...['ipv4', 'ipv6'].map((family) => families.filter((each) => each === family).length));
        for (let turn = 1; turn < 2 * fewer; turn += 1) expect(taken[turn]?.family).not.toBe(taken[turn - 1]?.family);
      }),
    );
  });
});

/** A host with these addresses. */
function hostWith(...addresses: readonly string[]): AddressLookup {
  return (_host, _family, done) =>
    done(
      null,
      addresses.map((each) => ({ address: each, family: each.includes(':') ? 6 : 4 })),
    );
}

async function dial(port: number, options: Partial<ConnectOptions> = {}): Promise<Socket> {
  const socket = await connect({ host: 'some.example', port }, { timeoutMs: 5000, ...options });
  onTestFinished(() => void socket.destroy());
  return socket;
}

describe('connect', () => {
  test('returns a socket that has no listeners and allows half-open', async () => {
    const { port } = await fakeTcpServer(() => {});
    const socket = await dial(port, { lookup: hostWith('127.0.0.1') });
    expect([socket.remoteAddress, socket.remotePort, socket.allowHalfOpen]).toEqual(['127.0.0.1', port, true]);
    expect(socket.listenerCount('error') + socket.listenerCount('connect') + socket.listenerCount('data')).toBe(0);
  });

  test('tries the next address immediately after a refusal', async () => {
    const { port } = await fakeTcpServer(() => {}, '127.0.0.3');
    const clock = new FakeClock();
    const socket = await dial(port, { clock, lookup: hostWith('127.0.0.1', '127.0.0.2', '127.0.0.3') });
    expect(socket.remoteAddress).toBe('127.0.0.3');
    expect([clock.nowMs, clock.waiting]).toEqual([0, 0]);
  });

  test('connects to no other address if the first answers', async () => {
    const port = await freePort();
    const clients: string[] = [];
    for (const host of ['127.0.0.1', '127.0.0.2']) await fakeTcpServer(() => clients.push(host), host, port);
    const socket = await dial(port, { clock: new FakeClock(), lookup: hostWith('127.0.0.2', '127.0.0.1') });
    expect(socket.remoteAddress).toBe('127.0.0.2');
    await until(() => clients.length > 0, 'a client');
    expect(clients).toEqual(['127.0.0.2']);
  });

  test('tries the next address in parallel after 250 ms of silence', async () => {
    const { port } = await silentTcpServer('127.0.0.1');
    const clients: string[] = [];
    await fakeTcpServer(() => clients.push('127.0.0.2'), '127.0.0.2', port);
    const clock = new FakeClock();
    const dialled = dial(port, { clock, lookup: hostWith('127.0.0.1', '127.0.0.2') });
    await until(() => clock.waiting === 2, 'the first attempt');
    clock.advance(249);
    expect(clock.waiting).toBe(2);
    clock.advance(1);
    expect((await dialled).remoteAddress).toBe('127.0.0.2');
    expect([clock.nowMs, clock.waiting]).toEqual([250, 0]);
  });

  test('gives up after the timeout', async () => {
    const { port } = await silentTcpServer();
    const clock = new FakeClock();
    const dialled = dial(port, { clock, lookup: hostWith('127.0.0.1') });
    await until(() => clock.waiting === 2, 'the attempt');
    clock.advance(5000);
    const message = `cannot connect to some.example:${port}: no answer within 5s`;
    await expect(dialled).rejects.toMatchObject({ code: 'CONNECT_FAILED', exitCode: 2, message });
    expect(clock.waiting).toBe(0);
  });

  test('gives name lookup and connection one timeout together', async () => {
    const { port } = await silentTcpServer();
    const clock = new FakeClock();
    const lookup: AddressLookup = (...args) => void clock.after(3000, () => hostWith('127.0.0.1')(...args));
    const dialled = dial(port, { clock, lookup });
    clock.advance(3000);
    await until(() => clock.waiting === 2, 'the attempt');
    clock.advance(2000);
    await expect(dialled).rejects.toMatchObject({ message: expect.stringMatching(/no answer within 5s$/) as string });
  });

  test('can be interrupted', async () => {
    const { port } = await silentTcpServer();
    const abort = new AbortController();
    const clock = new FakeClock();
    const dialled = dial(port, { clock, signal: abort.signal, lookup: hostWith('127.0.0.1') });
    await until(() => clock.waiting === 2, 'the attempt');
    abort.abort();
    await expect(dialled).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
    expect(clock.waiting).toBe(0);
  });

  test('reports the reason once if all addresses refuse', async () => {
    const port = await freePort();
    const dialled = dial(port, { lookup: hostWith('127.0.0.1', '127.0.0.2') });
    const message = `cannot connect to some.example:${port}: connection refused`;
    await expect(dialled).rejects.toMatchObject({ code: 'CONNECT_FAILED', message, cause: { code: 'ECONNREFUSED' } });
  });

  test('names each address if the reasons differ', async () => {
    const port = await freePort();
    // TCP has no broadcast.
    const dialled = dial(port, { lookup: hostWith('127.0.0.1', '255.255.255.255') });
    const message = `cannot connect to some.example:${port}: 127.0.0.1: connection refused; 255.255.255.255: the network is unreachable`;
    await expect(dialled).rejects.toMatchObject({ code: 'CONNECT_FAILED', message });
  });

  test('connects from the requested local port', async () => {
    const { port } = await fakeTcpServer(() => {});
    const localPort = await freePort();
    const socket = await dial(port, { pathControls: { sourcePort: localPort }, lookup: hostWith('127.0.0.1') });
    expect(socket.localPort).toBe(localPort);
  });

  test('reports an unknown host', async () => {
    const dialled = dial(7, { lookup: hostWith() });
    await expect(dialled).rejects.toMatchObject({ code: 'HOST_NOT_FOUND', message: 'some.example has no address' });
  });
});
