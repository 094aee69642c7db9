import { once } from 'node:events';
import { closeSync, fstatSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { boundTo, listenTcp, listenUnix } from '../../../../src/kernel/sockets.ts';
import { streams } from '../../../../src/kernel/streams.ts';
import { KernelStreamSocket, maxUndeliveredBytes } from '../../../../src/server/transport/kernel-stream-socket.ts';
import type { StreamSocketUser } from '../../../../src/server/transport/stream-socket.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { until } from '../../../support/wait.ts';

/** Keeps the events of a socket. */
class Events implements StreamSocketUser {
  readonly chunks: Buffer[] = [];
  ends = 0;
  flushes = 0;
  closes = 0;

  received(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
  }

  peerEnded(): void {
    this.ends += 1;
  }

  flushed(): void {
    this.flushes += 1;
  }

  closed(): void {
    this.closes += 1;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

interface Pair {
  readonly socket: KernelStreamSocket;
  readonly descriptor: number;
  readonly events: Events;
  readonly client: Socket;
}

/** A direct socket, and Node's at the other end, which does not read unless told. */
async function pair(path?: string, readsTcpInfo?: boolean): Promise<Pair> {
  const ip = parseIp('127.0.0.1');
  if (ip === undefined) throw new Error('no address');
  const listener =
    path === undefined ? listenTcp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 16) : listenUnix(path, 16);
  onTestFinished(() => closeSync(listener));
  const bound = boundTo(listener);
  const client = connect({
    ...('port' in bound ? { port: bound.port, host: '127.0.0.1' } : { path: bound.path }),
    allowHalfOpen: true,
  });
  client.on('error', () => {});
  client.pause();
  onTestFinished(() => void client.destroy());
  await once(client, 'connect');
  const descriptor = streams().accept(listener);
  expect(descriptor).toBeGreaterThan(0);
  const socket = new KernelStreamSocket(descriptor, path === undefined, readsTcpInfo);
  onTestFinished(() => socket.destroy());
  const events = new Events();
  socket.use(events);
  return { socket, descriptor, events, client };
}

/** So much that no kernel takes it at once. */
const large = Buffer.alloc(32 * 1024 * 1024, 'smallservd ');

async function readAll(client: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of client as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

it('resets a client that would take half of its bytes for all', async () => {
  const { socket, descriptor, events, client } = await pair();
  socket.write(large);
  expect(socket.unsent).toBeGreaterThan(0);
  // ENOBUFS, when the kernel has no memory.
  const send = vi.spyOn(streams(), 'send').mockReturnValue(-105);
  onTestFinished(() => send.mockRestore());
  // Node takes a reset that comes together with bytes for an end.
  const reset = vi.spyOn(streams(), 'resetOnClose');
  onTestFinished(() => reset.mockRestore());
  client.resume();
  await until(() => events.closes === 1, 'the close');
  expect(socket.errorCode).toBe('ENOBUFS');
  expect(reset.mock.calls).toEqual([[descriptor]]);
});

describe.each(['TCP', 'UNIX'])('a direct %s socket', (transport) => {
  const open = async (): Promise<Pair> => pair(transport === 'TCP' ? undefined : `${temporaryDirectory()}/socket`);

  it('reads nothing before it is told, then everything in order, and the end', async () => {
    const { socket, events, client } = await open();
    client.end(large.subarray(0, 300_000));
    await new Promise((resolve) => setImmediate(resolve));
    expect(events.chunks).toEqual([]);
    socket.startReading();
    await until(() => events.ends === 1, 'the end');
    expect(events.bytes.equals(large.subarray(0, 300_000))).toBe(true);
    expect([socket.received, events.closes, socket.isDestroyed]).toEqual([300_000, 0, false]);
    socket.end();
    await until(() => events.closes === 1, 'the close');
    expect([socket.errorCode, socket.isFinished]).toEqual([undefined, true]);
  });

  it('keeps what the kernel does not take, and says when it has', async () => {
    const { socket, events, client } = await open();
    const mine = Buffer.from(large);
    socket.write(mine);
    expect(socket.unsent).toBeGreaterThan(0);
    const more = Buffer.from('and this');
    socket.write(more);
    // The caller may use its memory again.
    mine.fill(0);
    more.fill(0);
    socket.end(Buffer.from(' and the end'));
    expect([socket.isFinished, events.flushes]).toEqual([false, 0]);
    const got = await readAll(client);
    expect(got.equals(Buffer.concat([large, Buffer.from('and this and the end')]))).toBe(true);
    expect([socket.unsent, socket.isFinished]).toEqual([0, true]);
    client.end();
    socket.startReading();
    await until(() => events.closes === 1, 'the close');
    expect(socket.errorCode).toBeUndefined();
  });

  it('tells once that everything is written, unless it has ended', async () => {
    const { socket, events, client } = await open();
    socket.write(large);
    client.resume();
    await until(() => events.flushes === 1, 'the flush');
    expect(socket.unsent).toBe(0);
    socket.write(Buffer.from('fits'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(events.flushes).toBe(1);
  });

  it('stops reading when told, so that the kernel makes the peer wait', async () => {
    const { socket, events, client } = await open();
    client.write('one');
    socket.startReading();
    await until(() => events.bytes.length === 3, 'the first bytes');
    socket.stopReading();
    const written = new Promise((resolve) => client.write(large, resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([events.bytes.length, client.writableLength > 0]).toEqual([3, true]);
    socket.startReading();
    await written;
    await until(() => events.bytes.length === 3 + large.length, 'the rest');
  });

  it('is closed by a peer that disappears, even while nothing is read', async () => {
    const { socket, events, client } = await open();
    socket.write(large);
    expect(socket.unsent).toBeGreaterThan(0);
    if (transport === 'TCP') client.resetAndDestroy();
    else client.destroy();
    await until(() => events.closes === 1, 'the close');
    expect(['ECONNRESET', 'EPIPE']).toContain(socket.errorCode);
    expect(socket.isDestroyed).toBe(true);
    // Nothing of it does anything now, or anything twice.
    socket.write(Buffer.from('x'));
    socket.end(Buffer.from('x'));
    socket.startReading();
    socket.stopReading();
    socket.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    expect([events.closes, events.chunks]).toEqual([1, []]);
  });

  it('loses no answer of a client that has sent more than anybody reads', async () => {
    const { socket, events, client } = await open();
    client.end('unread input');
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.end(Buffer.from('answer'));
    expect(String(await readAll(client))).toBe('answer');
    socket.startReading();
    await until(() => events.closes === 1, 'the close');
    expect([socket.errorCode, socket.received]).toEqual([undefined, 12]);
  });

  it('closes its descriptor once, at once, and tells later', async () => {
    const { socket, descriptor, events } = await open();
    socket.startReading();
    socket.destroy();
    expect(() => fstatSync(descriptor)).toThrow('EBADF');
    expect(events.closes).toBe(0);
    await until(() => events.closes === 1, 'the close');
    socket.destroy();
    socket.reset();
    await new Promise((resolve) => setImmediate(resolve));
    expect(events.closes).toBe(1);
  });
});

describe('a direct TCP socket, once both sides have ended', () => {
  /** So little that the kernel takes it at once, and more than the peer's buffer holds. */
  const unread = large.subarray(0, 1_000_000);

  async function endedPair(): Promise<Pair> {
    const ended = await pair();
    const { socket, events, client } = ended;
    client.end('x');
    socket.startReading();
    await until(() => events.ends === 1, 'the end of the client');
    socket.end(unread);
    await until(() => socket.isFinished, 'the end of the socket');
    expect([socket.unsent, socket.isDestroyed]).toEqual([0, false]);
    expect(socket.review()).toBeGreaterThan(maxUndeliveredBytes);
    return ended;
  }

  it('stays open until the peer has nearly all that was sent', async () => {
    const { socket, events, client } = await endedPair();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([socket.isDestroyed, events.closes]).toEqual([false, 0]);
    expect((await readAll(client)).equals(unread)).toBe(true);
    await until(() => socket.review() <= maxUndeliveredBytes, 'the last acknowledgement');
    expect(socket.isDestroyed).toBe(true);
    await until(() => events.closes === 1, 'the close');
    expect(socket.errorCode).toBeUndefined();
  });

  it('notices that the peer has disappeared', async () => {
    const { socket, events, client } = await endedPair();
    client.resetAndDestroy();
    await until(() => {
      socket.review();
      return events.closes === 1;
    }, 'the close');
    expect(['ECONNRESET', 'EPIPE']).toContain(socket.errorCode);
  });

  it('is closed at once if the peer has all of it', async () => {
    const { socket, events, client } = await pair();
    client.resume();
    client.end('x');
    socket.startReading();
    await until(() => events.ends === 1, 'the end of the client');
    socket.end(Buffer.from('answer'));
    expect(socket.isDestroyed).toBe(true);
    expect(socket.review()).toBe(0);
  });
});

describe('a direct TCP socket', () => {
  it('knows its local address', async () => {
    const { socket } = await pair();
    expect(socket.local).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it.each([
    ['resets the connection, and leaves nothing in the kernel', 'reset', 0],
    ['otherwise leaves what the peer has not read yet', 'destroy', 1],
  ] as const)('%s', async (_, close, left) => {
    const { socket, client } = await pair();
    socket.write(large);
    const port = Number(socket.local.split(':').at(-1));
    const { localPort = 0 } = client;
    socket[close]();
    expect(connectionsBetween(port, localPort)).toBe(left);
    client.destroy();
  });

  it('sends an answer and its FIN at once', async () => {
    const { socket, client } = await pair();
    socket.end(Buffer.from('answer'));
    expect(socket.isFinished).toBe(true);
    expect(String(await readAll(client))).toBe('answer');
  });
});

it('the events of one socket never reach the next with the same descriptor', async () => {
  for (let turn = 0; turn < 20; turn += 1) {
    const [first, second] = [await pair(), await pair()];
    // Both are readable when the first is handled, closes the second and opens another.
    let third: Promise<Pair> | undefined;
    first.events.received = () => {
      second.socket.destroy();
      third = pair();
    };
    for (const { socket } of [first, second]) socket.startReading();
    first.client.write('x');
    second.client.write('for the second');
    await until(() => third !== undefined, 'the first');
    const next = (await third) as Pair;
    next.socket.startReading();
    next.client.write('third');
    await until(() => next.events.bytes.length > 0, 'the third');
    expect(String(next.events.bytes)).toBe('third');
    expect(second.events.bytes.length === 0 || String(second.events.bytes) === 'for the second').toBe(true);
  }
});

/** Whether an address of /proc/net/tcp has a port. */
function isAt(address: string, port: number): boolean {
  return address.endsWith(`:${port.toString(16).toUpperCase().padStart(4, '0')}`);
}

/**
 * How many TCP connections the kernel has between these ports, in any state but LISTEN: proc(5). A connection of
 * another test may have one of them, on another address.
 */
function connectionsBetween(localPort: number, remotePort: number): number {
  const rows = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return rows.filter(
    ([, local = '', remote = '', state]) => isAt(local, localPort) && isAt(remote, remotePort) && state !== '0A',
  ).length;
}

describe('what the kernel knows about the path', () => {
  it.each(['destroy', 'reset'] as const)('is read before %s closes a TCP socket', async (close) => {
    const { socket } = await pair(undefined, true);
    socket.write(Buffer.from('x'));
    expect(socket.tcpInfo).toBeUndefined();
    socket[close]();
    expect(socket.tcpInfo).toEqual({ rttMs: expect.any(Number) as number, retransmits: 0 });
    // Over loopback.
    expect(socket.tcpInfo?.rttMs).toBeGreaterThan(0);
    expect(socket.tcpInfo?.rttMs).toBeLessThan(10_000);
  });

  it('is still there after the client has reset the connection', async () => {
    const { socket, events, client } = await pair(undefined, true);
    socket.startReading();
    client.resetAndDestroy();
    await until(() => events.closes === 1, 'the close');
    expect([socket.errorCode, socket.tcpInfo?.retransmits]).toEqual(['ECONNRESET', 0]);
  });

  it('is not read unless asked for, nor for a UNIX socket', async () => {
    const [tcp, unix] = [await pair(), await pair(`${temporaryDirectory()}/socket`, true)];
    for (const { socket } of [tcp, unix]) socket.destroy();
    expect([tcp.socket.tcpInfo, unix.socket.tcpInfo]).toEqual([undefined, undefined]);
  });
});
