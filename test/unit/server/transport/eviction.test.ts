import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BudgetedLog } from '../../../../src/server/budgeted-log.ts';
import type { StreamLimits } from '../../../../src/server/guard/limits.ts';
import { ConnectionLog } from '../../../../src/server/connection-log.ts';
import { HandlerTimer } from '../../../../src/server/handler-time.ts';
import { newServiceCounters, type ServiceCounters } from '../../../../src/server/counters.ts';
import { Admission } from '../../../../src/server/guard/admission.ts';
import { DescriptorBudget } from '../../../../src/server/guard/descriptor-budget.ts';
import type { Service } from '../../../../src/service.ts';
import type { BoundAddress, StreamTarget } from '../../../../src/server/transport/listener.ts';
import { Offenders } from '../../../../src/server/guard/offenders.ts';
import { SourceMask } from '../../../../src/server/guard/source-prefix.ts';
import { StreamListener } from '../../../../src/server/transport/stream.ts';
import { access, seededRandom, streamLimits } from '../guard/fixtures.ts';
import { serve } from '../../../support/daemon.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeLog } from '../../../support/fake-log.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until } from '../../../support/wait.ts';

const echo: Service = { stream: (client) => ({ data: (chunk) => client.write(chunk) }) };
const here: StreamTarget = { transport: 'tcp', family: 'ipv4', address: '127.0.0.1', port: 0 };

interface Served {
  readonly admission: Admission;
  readonly counters: ServiceCounters;
  readonly clock: FakeClock;
  readonly bound: readonly BoundAddress[];
  /** Of the lines of clients that have gone. */
  readonly reasons: () => readonly unknown[];
}

/** One service whose listeners share its admission, as in the daemon. Nobody is exempt. */
async function serveAt(
  targets: readonly StreamTarget[],
  limits: Partial<StreamLimits>,
  service = echo,
  budget = Infinity,
): Promise<Served> {
  const clock = new FakeClock();
  const log = new FakeLog();
  const counters = newServiceCounters();
  const all = { ...streamLimits, ...limits };
  const admission = new Admission({
    limits: all,
    access: access(),
    descriptors: new DescriptorBudget(budget, 1, { onShortage() {}, onRelief() {} }).share(),
    random: seededRandom(1),
    nameOfZone: String,
    onWouldRefuse() {},
  });
  const listeners = targets.map(
    (target) =>
      new StreamListener({
        target,
        service,
        limits: all,
        proxy: { from: [], timeoutMs: 5000 },
        socket: { keepAlive: { enabled: false, delayMs: 0 }, noDelay: true, backlog: 511 },
        admission,
        counters: counters.stream,
        timer: new HandlerTimer(counters.handlerTime.stream, clock),
        offenders: new Offenders(new SourceMask(all.sourcePrefix), String),
        connectionLog: new ConnectionLog('info', new BudgetedLog(log, clock, 1), counters),
        clock,
        faults: undefined,
        usesKernel: true,
      }),
  );
  const bound = await Promise.all(listeners.map((listener) => listener.open()));
  onTestFinished(async () => {
    for (const listener of listeners) {
      listener.suspend();
      listener.destroy();
    }
    await Promise.all(listeners.map((listener) => listener.drain()));
    expect(admission.active, 'places that nobody has given back').toBe(0);
  });
  const reasons = (): readonly unknown[] =>
    log.records.filter(({ message }) => message === 'closed').map(({ fields }) => fields['reason']);
  return { admission, counters, clock, bound, reasons };
}

async function connect(to: BoundAddress | undefined, localAddress = '127.0.0.1'): Promise<TcpClient> {
  if (to?.transport === 'unix') return TcpClient.connect({ path: to.address });
  return TcpClient.connect({ host: to?.address ?? '', port: to?.port ?? 0, localAddress });
}

/** Whether a byte comes back. A refused client gets nothing and is closed. */
async function isServed(client: TcpClient): Promise<boolean> {
  const before = client.length;
  client.write('x');
  await until(() => client.length > before || client.ended || client.closed, 'an answer or a refusal');
  return client.length > before;
}

async function served(to: BoundAddress | undefined, localAddress?: string): Promise<TcpClient> {
  const client = await connect(to, localAddress);
  expect(await isServed(client)).toBe(true);
  return client;
}

/** Whether the kernel has a socket with these ports, in whatever state: proc(5), /proc/net/tcp. */
function isKnown(localPort: number, remotePort = 0): boolean {
  const [local, remote] = [localPort, remotePort].map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
  return new RegExp(`: \\w+:${local} \\w+:${remote} `).test(readFileSync('/proc/net/tcp', 'latin1'));
}

describe('a newcomer to a full service', () => {
  it('evicts the longest idle client on any listener', async () => {
    const { admission, counters, clock, bound, reasons } = await serveAt([here, here], { maxConnections: 4 });
    const [first, second] = bound;
    const talker = await served(first);
    const silent = await served(second);
    const other = await served(first);
    await served(second, '127.0.0.9');
    // The sweep of this second finds that all have talked, that of the next one that two have.
    clock.advance(1000);
    expect([await isServed(talker), await isServed(other)]).toEqual([true, true]);
    clock.advance(1000);

    const newcomer = await served(first, '127.0.0.2');
    expect(admission.active).toBe(4);
    await silent.cut();
    await until(() => reasons().length > 0, 'the line of the evicted client');
    expect(reasons()).toEqual(['evicted']);
    expect([await isServed(talker), await isServed(other), await isServed(newcomer)]).toEqual([true, true, true]);
    expect(admission.active).toBe(4);
    expect(counters.stream).toMatchObject({ accepted: 5, active: 4, closed: { evicted: 1 }, refused: { limit: 0 } });
  });

  it('is refused without an eviction if its source would tie with the largest', async () => {
    const { admission, counters, bound } = await serveAt([here], { maxConnections: 3 });
    const [to] = bound;
    const clients = [await served(to), await served(to), await served(to, '127.0.0.2')];
    expect(await isServed(await connect(to, '127.0.0.2'))).toBe(false);
    expect(await isServed(await connect(to))).toBe(false);
    for (const client of clients) expect(await isServed(client)).toBe(true);
    expect(admission.active).toBe(3);
    expect(counters.stream).toMatchObject({ accepted: 3, active: 3, refused: { limit: 2 } });
  });

  it('leaves connections and counters exact in a burst of arrivals', async () => {
    const { admission, counters, bound, reasons } = await serveAt([here], { maxConnections: 12 });
    const [to] = bound;
    const large = await Promise.all(Array.from({ length: 12 }, () => served(to)));
    const small = await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        const client = await connect(to, `127.0.0.${2 + (index % 12)}`);
        return (await isServed(client)) ? [client] : [];
      }),
    );
    // Eleven of the twelve others find a place, and leave one to the first.
    await until(() => reasons().length === 11, 'the lines of all that were evicted');
    expect(new Set(reasons())).toEqual(new Set(['evicted']));
    expect(small.flat()).toHaveLength(11);
    expect(large.filter(({ ended, closed }) => !ended && !closed)).toHaveLength(1);
    expect(admission.active).toBe(12);
    expect(counters.stream).toMatchObject({
      accepted: 23,
      active: 12,
      closed: { evicted: 11 },
      refused: { limit: 13 },
    });
  });

  it('evicts a client to free a descriptor too', async () => {
    const { admission, counters, bound } = await serveAt([here], {}, echo, 3);
    const [to] = bound;
    const large = [await served(to), await served(to), await served(to)];
    await served(to, '127.0.0.2');
    await large[0]?.cut();
    expect(await isServed(await connect(to))).toBe(false);
    expect(admission.active).toBe(3);
    expect(counters.stream).toMatchObject({ accepted: 4, closed: { evicted: 1 }, refused: { limit: 1 } });
  });

  it('evicts a UNIX client too', async () => {
    const path = join(temporaryDirectory(), 'echo.sock');
    const { bound, reasons } = await serveAt([here, { transport: 'unix', path }], { maxConnections: 3 });
    const clients = [await served(bound[1]), await served(bound[1]), await served(bound[1])];
    await served(bound[0]);
    await clients[0]?.cut();
    await until(() => reasons().length > 0, 'its line');
    expect(reasons()).toEqual(['evicted']);
  });

  it('replaces a lingering client, which is logged as completed', async () => {
    const daytime: Service = { stream: (client) => client.end(Buffer.from('now')) };
    const { counters, bound, reasons } = await serveAt([here], { maxConnections: 2 }, daytime);
    const [to] = bound;
    const options = { host: '127.0.0.1', port: to?.port ?? 0 };
    const lingering = [await TcpClient.connect(options), await TcpClient.connect(options)];
    for (const client of lingering) await until(() => client.ended, 'the answer and the goodbye');
    expect(reasons()).toEqual([]);
    const newcomer = await connect(to, '127.0.0.2');
    await newcomer.take(3);
    await until(() => reasons().length > 0, 'its line');
    expect(reasons()).toEqual(['completed']);
    expect(counters.stream).toMatchObject({ accepted: 3, closed: { completed: 1, evicted: 0 }, refused: { limit: 0 } });
  });

  it('resets a client that never reads, leaving no socket in the kernel', async () => {
    const bytes = Buffer.alloc(16 * 1024 * 1024, 'more ');
    const flood: Service = { stream: (client) => client.write(bytes) };
    const { bound, reasons } = await serveAt([here], { maxConnections: 2 }, flood);
    const options = { reads: false };
    const [to] = bound;
    const target = { host: '127.0.0.1', port: to?.port ?? 0 };
    const slow = [await TcpClient.connect(target, options), await TcpClient.connect(target, options)];
    const newcomer = await connect(to, '127.0.0.2');
    await newcomer.take(1);
    await until(() => reasons().length > 0, 'its line');
    expect(reasons()).toEqual(['evicted']);
    expect(slow.map(({ socket }) => isKnown(target.port, socket.localPort))).toEqual([false, true]);
  });
});

it('a proxy connection evicts nobody before its header and keeps its place after it', async () => {
  const daemon = await serve({
    echo: { listen: ['tcp://127.0.0.1:0'], proxyProtocol: { from: ['127.0.0.1'] }, maxConnections: 3 },
  });
  const target = daemon.target('echo', 'tcp');
  const introduce = async (address: string): Promise<TcpClient> => {
    const client = await TcpClient.connect(target);
    client.write(`PROXY TCP4 ${address} 198.51.100.1 40000 7\r\n`);
    expect(await isServed(client)).toBe(true);
    return client;
  };
  const clients = [await introduce('192.0.2.1'), await introduce('192.0.2.1')];
  const waiting = await TcpClient.connect(target);
  const refused = await TcpClient.connect(target);
  await refused.cut();
  for (const client of clients) expect(await isServed(client)).toBe(true);
  waiting.write('PROXY TCP4 192.0.2.2 198.51.100.1 40000 7\r\n');
  expect(await isServed(waiting)).toBe(true);
  for (const client of clients) expect(await isServed(client)).toBe(true);
  await daemon.close(0);
  expect(daemon.log.summed('refused')).toEqual({ limit: 1 });
});

/** What eviction builds on: the descriptor of the victim is the newcomer's. */
describe('destroying a socket closes its descriptor before the call returns', () => {
  it.each([
    ['tcp', 'destroy'],
    ['tcp', 'resetAndDestroy'],
    ['unix', 'destroy'],
  ] as const)('%s, %s', async (transport, how) => {
    const path = join(temporaryDirectory(), 'socket');
    const server = createServer({ allowHalfOpen: true }).listen(
      transport === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path },
    );
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const address = server.address();
    const client = await TcpClient.connect(
      typeof address === 'object' && address !== null ? { host: '127.0.0.1', port: address.port } : { path },
    );
    const [socket] = await accepted;
    socket.on('error', () => {});
    client.write('x');
    await once(socket, 'data');
    // More than the kernel takes: a write is under way.
    socket.write(Buffer.alloc(32 * 1024 * 1024));
    const { fd } = (socket as Socket & { readonly _handle: { readonly fd: number } })._handle;
    const link = `/proc/self/fd/${fd}`;
    expect(readlinkSync(link)).toMatch(/^socket:/);
    socket[how]();
    // Nothing else can have been opened since.
    expect(() => readlinkSync(link)).toThrow('ENOENT');
  });
});
