import { closeSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { formatIp, type IpAddress, parseIp } from '../../../../src/address/ip-address.ts';
import { duplicate } from '../../../../src/kernel/descriptors.ts';
import { libc } from '../../../../src/kernel/libc.ts';
import { boundTo, listenTcp } from '../../../../src/kernel/sockets.ts';
import { streams } from '../../../../src/kernel/streams.ts';
import type { AcceptorEvents } from '../../../../src/server/transport/acceptor.ts';
import { KernelAcceptor } from '../../../../src/server/transport/kernel-acceptor.ts';
import type { StreamTarget } from '../../../../src/server/transport/listener.ts';
import type { StreamSocket } from '../../../../src/server/transport/stream-socket.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { until } from '../../../support/wait.ts';

const options = { keepAlive: { enabled: false, delayMs: 0 }, noDelay: true, backlog: 64 };

/** Keeps the clients and the errors of an acceptor. */
class Events implements AcceptorEvents {
  readonly clients: { socket: StreamSocket; source: string; port: number }[] = [];
  readonly errors: Error[] = [];
  leavesClients = false;

  leavesToOthers(): boolean {
    return this.leavesClients;
  }

  connected(socket: StreamSocket, source: IpAddress | undefined, port: number): void {
    onTestFinished(() => socket.destroy());
    this.clients.push({ socket, source: source === undefined ? '' : formatIp(source), port });
  }

  connectedLocally(): void {}

  failed(error: Error): void {
    this.errors.push(error);
  }
}

async function open(target: StreamTarget, clock = new FakeClock()) {
  const events = new Events();
  const acceptor = new KernelAcceptor({ target, socket: options, clock, readsTcpInfo: false, events });
  onTestFinished(() => acceptor.close());
  return { acceptor, events, clock, bound: await acceptor.open() };
}

const loopback: StreamTarget = { transport: 'tcp', family: 'ipv4', address: '127.0.0.1', port: 0 };

function client(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** A listening socket of another process, as it passes it on: it blocks. */
function inherited(): { readonly descriptor: number; readonly port: number } {
  const ip = parseIp('127.0.0.1');
  if (ip === undefined) throw new Error('no address');
  const descriptor = listenTcp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 64);
  onTestFinished(() => closeSync(descriptor));
  // F_SETFL of fcntl(2), without O_NONBLOCK.
  expect(libc?.fcntl(descriptor, 4, 0)).toBe(0);
  const bound = boundTo(descriptor);
  return { descriptor, port: 'port' in bound ? bound.port : 0 };
}

it('accepts clients with their addresses, more than fit one turn', async () => {
  const { events, bound } = await open(loopback);
  const clients = Array.from({ length: 50 }, () => client(bound.port));
  await until(() => events.clients.length === 50, 'the clients');
  expect(new Set(events.clients.map(({ port }) => port))).toEqual(new Set(clients.map(({ localPort }) => localPort)));
  expect(new Set(events.clients.map(({ source }) => source))).toEqual(new Set(['127.0.0.1']));
});

it('never waits for a client, although an inherited socket blocks', async () => {
  const { descriptor, port } = inherited();
  const fd = (): number => duplicate(descriptor) ?? -1;
  const [one, two] = [await open({ transport: 'tcp', fd: fd() }), await open({ transport: 'tcp', fd: fd() })];
  const flags = /^flags:\t(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
  expect(Number.parseInt(flags ?? '0', 8) & 0o4000).toBe(0o4000);
  client(port);
  // Whoever comes second finds nothing, and must not wait for the next client.
  await until(() => one.events.clients.length + two.events.clients.length === 1, 'the client');
});

it('leaves clients in the backlog during a shortage, reports it once, and does not spin', async () => {
  const { events, bound, clock } = await open(loopback);
  const accept = vi.spyOn(streams(), 'accept').mockReturnValue(-24);
  client(bound.port);
  await until(() => events.errors.length === 1, 'the error');
  expect(events.errors[0]).toMatchObject({ code: 'EMFILE' });
  for (let turn = 1; turn <= 3; turn += 1) {
    for (let wait = 0; wait < 5; wait += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(accept).toHaveBeenCalledTimes(turn);
    clock.advance(100);
    await until(() => accept.mock.calls.length === turn + 1, 'the next attempt');
  }
  accept.mockRestore();
  clock.advance(100);
  await until(() => events.clients.length === 1, 'the client');
  expect(events.errors).toHaveLength(1);
});

it('leaves clients to another process that shares the socket, and looks again from time to time', async () => {
  const { descriptor, port } = inherited();
  const fd = (): number => duplicate(descriptor) ?? -1;
  const [one, two] = [await open({ transport: 'tcp', fd: fd() }), await open({ transport: 'tcp', fd: fd() })];
  one.events.leavesClients = true;
  for (let count = 1; count <= 20; count += 1) {
    client(port);
    await until(() => two.events.clients.length === count, 'the client');
  }
  two.acceptor.close();
  client(port);
  for (let times = 0; times < 3; times += 1) one.clock.advance(20);
  expect(one.events.clients).toEqual([]);
  one.events.leavesClients = false;
  one.clock.advance(20);
  await until(() => one.events.clients.length === 1, 'the client');
  expect([one.events.errors, two.events.clients.length]).toEqual([[], 20]);
});

it('goes on after a client that is already gone', async () => {
  const { events, bound } = await open(loopback);
  const accept = vi.spyOn(streams(), 'accept').mockReturnValueOnce(-103);
  client(bound.port);
  await until(() => events.clients.length === 1, 'the client');
  expect([events.errors, accept.mock.results[0]?.value]).toEqual([[], -103]);
  accept.mockRestore();
});

it('accepts nobody after it is closed', async () => {
  const { acceptor, events, bound } = await open(loopback);
  acceptor.close();
  acceptor.close();
  expect(acceptor.isOpen).toBe(false);
  const failure = new Promise((resolve) => {
    connect(bound.port, '127.0.0.1').on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  expect(await failure).toBe('ECONNREFUSED');
  expect(events.clients).toEqual([]);
});
