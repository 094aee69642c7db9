import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Connection, type ConnectionOptions } from '../../../../src/client/dial/connection.ts';
import { AskedClock } from '../../../support/asked-clock.ts';
import { fakeTcpServer } from '../../../support/fake-servers.ts';
import { until } from '../../../support/wait.ts';

interface Pair {
  readonly connection: Connection;
  /** The other end. */
  readonly peer: Socket;
  readonly clock: AskedClock;
  readonly name: string;
}

/** A connection whose time stands still, and its peer. */
async function connected(options: Partial<ConnectionOptions> = {}): Promise<Pair> {
  let peer: Socket | undefined;
  const { host, port, name } = await fakeTcpServer((socket) => {
    peer = socket;
  });
  const clock = new AskedClock();
  const connection = await Connection.open({ host, port }, { timeoutMs: 5000, clock, ...options });
  onTestFinished(() => connection.destroy());
  clock.asked = 0;
  await until(() => peer !== undefined, 'the client');
  return { connection, peer: peer as Socket, clock, name };
}

const text = (bytes: Uint8Array | undefined): string | undefined =>
  (bytes && Buffer.from(bytes).toString()) || undefined;

describe('read', () => {
  test('returns data as it arrives, then undefined after the end', async () => {
    const { connection, peer } = await connected();
    peer.write('one');
    expect(text(await connection.read())).toBe('one');
    peer.end('two');
    expect(text(await connection.read())).toBe('two');
    expect(await connection.read()).toBeUndefined();
    expect(await connection.read()).toBeUndefined();
  });

  test('shares a timeout that has started, unless it is given another', async () => {
    const { connection, clock, name } = await connected({ sinceMs: 0 });
    clock.advance(3000);
    const reading = connection.read();
    clock.advance(2000);
    await expect(reading).rejects.toMatchObject({ code: 'NO_ANSWER', message: `${name}: no data within 5s` });
    const further = connection.read(1000);
    clock.advance(1000);
    await expect(further).rejects.toMatchObject({ message: `${name}: no data within 1s` });
  });

  test('reports a reset', async () => {
    const { connection, peer, name } = await connected();
    const reading = connection.read();
    peer.resetAndDestroy();
    const message = `${name}: connection reset`;
    await expect(reading).rejects.toMatchObject({ code: 'CONNECTION_LOST', exitCode: 1, message });
    await expect(connection.read()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });

  test('gives up after the connection timeout or a given timeout', async () => {
    const { connection, clock, name } = await connected();
    const first = connection.read();
    clock.advance(5000);
    const message = `${name}: no data within 5s`;
    await expect(first).rejects.toMatchObject({ code: 'NO_ANSWER', exitCode: 1, message });
    const second = connection.read(100);
    clock.advance(100);
    await expect(second).rejects.toMatchObject({ message: `${name}: no data within 100ms` });
  });

  test('works again after a timeout', async () => {
    const { connection, peer, clock } = await connected();
    const first = connection.read();
    clock.advance(5000);
    await expect(first).rejects.toMatchObject({ code: 'NO_ANSWER' });
    peer.write('late');
    expect(text(await connection.read())).toBe('late');
  });

  test('can be interrupted and stays interrupted', async () => {
    const abort = new AbortController();
    const { connection, peer } = await connected({ signal: abort.signal });
    const reading = connection.read();
    abort.abort();
    await expect(reading).rejects.toMatchObject({ code: 'INTERRUPTED' });
    peer.write('more');
    await expect(connection.read()).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(connection.write('x')).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('readAll', () => {
  test('returns everything up to the end', async () => {
    const { connection, peer } = await connected();
    peer.write('one ');
    peer.end('two');
    const { bytes, end } = await connection.readAll(100);
    expect([text(bytes), end]).toEqual(['one two', 'finished']);
  });

  test.each([
    ['reset', (peer: Socket) => void peer.resetAndDestroy()],
    ['timeout', (_peer: Socket, clock: AskedClock) => clock.advance(5000)],
  ] as const)('returns what arrived before the %s', async (how, happen) => {
    const { connection, peer, clock } = await connected();
    peer.write('one');
    const all = connection.readAll(100);
    await until(() => clock.isAsked, 'the first bytes');
    happen(peer, clock);
    const { bytes, end } = await all;
    expect([text(bytes), end]).toEqual(['one', how]);
  });

  test.each([
    [3, 'one', 'limit'],
    [4, 'one!', 'finished'],
    [5, 'one!', 'finished'],
  ])('given four bytes and a limit of %d, returns %s', async (limit, wanted, how) => {
    const { connection, peer } = await connected();
    peer.end('one!');
    const { bytes, end } = await connection.readAll(limit);
    expect([text(bytes), end]).toEqual([wanted, how]);
  });

  test('throws if nothing arrived before a reset or timeout', async () => {
    const lost = await connected();
    lost.peer.resetAndDestroy();
    await expect(lost.connection.readAll(100)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    const silent = await connected();
    const all = silent.connection.readAll(100);
    silent.clock.advance(5000);
    const message = `${silent.name}: no data within 5s`;
    await expect(all).rejects.toMatchObject({ code: 'NO_ANSWER', message });
  });

  test('returns no bytes if the peer just closes', async () => {
    const { connection, peer } = await connected();
    peer.end();
    const { bytes, end } = await connection.readAll(100);
    expect([bytes.length, end]).toEqual([0, 'finished']);
  });

  test('throws on an interrupt even after data arrived', async () => {
    const abort = new AbortController();
    const { connection, peer } = await connected({ signal: abort.signal });
    peer.write('one');
    const all = connection.readAll(100);
    abort.abort();
    await expect(all).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('a half-closed connection', () => {
  test('still receives after our FIN', async () => {
    const { connection, peer } = await connected();
    peer.resume().on('end', () => peer.end('answer'));
    connection.finish();
    const { bytes, end } = await connection.readAll(100);
    expect([text(bytes), end]).toEqual(['answer', 'finished']);
  });

  test('still sends after the peer sent FIN', async () => {
    const { connection, peer } = await connected();
    let got = '';
    peer.on('data', (chunk) => {
      got += String(chunk);
    });
    peer.end();
    expect(await connection.read()).toBeUndefined();
    await connection.write('still here');
    await until(() => got === 'still here', 'our bytes');
  });
});

describe('write', () => {
  test('times out if the peer reads nothing', async () => {
    const { connection, clock, name } = await connected();
    // More than the buffers of both kernels hold.
    const writing = connection.write(Buffer.alloc(64 * 1024 * 1024));
    clock.advance(5000);
    const message = `${name}: accepted no data for 5s`;
    await expect(writing).rejects.toMatchObject({ code: 'NO_ANSWER', message });
  });

  test('resolves once the peer reads', async () => {
    const { connection, peer } = await connected();
    const size = 16 * 1024 * 1024;
    const writing = connection.write(Buffer.alloc(size));
    peer.resume();
    await writing;
    await until(() => peer.bytesRead === size, 'all bytes');
  });

  test('reports a reset', async () => {
    const { connection, peer } = await connected();
    const reading = connection.read();
    peer.resetAndDestroy();
    await expect(reading).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await expect(connection.write('x')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });
});

test('a connection exposes its local and peer addresses', async () => {
  const { connection, peer } = await connected();
  expect(connection.local).toEqual({ address: '127.0.0.1', port: peer.remotePort });
  expect(connection.peer).toEqual({ address: '127.0.0.1', port: peer.localPort });
});
