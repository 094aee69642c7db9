import { execFile, execFileSync, spawn } from 'node:child_process';
import type { Socket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { requireLibc } from '../../../../src/kernel/libc.ts';
import { datagramBatch, DatagramBatch } from '../../../../src/kernel/datagram-batch.ts';
import { SocketAddress } from '../../../../src/kernel/socket-address.ts';
import { bindUdp, boundTo, tellHeaders } from '../../../../src/kernel/sockets.ts';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { duplicate } from '../../../../src/kernel/descriptors.ts';
import { newServiceCounters } from '../../../../src/server/counters.ts';
import type { ConnectionLog } from '../../../../src/server/connection-log.ts';
import { DelayQueue } from '../../../../src/server/faults/delay-queue.ts';
import { DelayedBudget } from '../../../../src/server/faults/delayed-budget.ts';
import { ServiceFaults } from '../../../../src/server/faults/service-faults.ts';
import { DatagramGuard } from '../../../../src/server/guard/datagram-guard.ts';
import { Offenders } from '../../../../src/server/guard/offenders.ts';
import { SourceMask } from '../../../../src/server/guard/source-prefix.ts';
import { LoopBreaker } from '../../../../src/server/guard/loop-breaker.ts';
import { Neighborhood } from '../../../../src/server/transport/neighborhood.ts';
import { KernelDatagramListener } from '../../../../src/server/transport/kernel-datagram.ts';
import type { DatagramTarget } from '../../../../src/server/transport/listener.ts';
import { HandlerTimer, newHandlerTime } from '../../../../src/server/handler-time.ts';
import type { DatagramOrigin, Service } from '../../../../src/service.ts';
import { serve } from '../../../support/daemon.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { UdpClient } from '../../../support/udp.ts';
import { until } from '../../../support/wait.ts';
import { load } from '../config/sources.ts';
import { newFaultCounts, rulesOf } from '../faults/rules.ts';

const { config } = await load('services: { echo: { listen: "udp://127.0.0.1:0" } }');
const clock = new FakeClock();
const loopback: DatagramTarget = { transport: 'udp', family: 'ipv4', address: '127.0.0.1', port: 0 };

const echo: Service = { datagram: (request) => request };

function listen(target: DatagramTarget, service: Service = echo, receiveBufferBytes = 1 << 20) {
  const [{ datagram: limits, access } = { datagram: undefined, access: undefined }] = config.services;
  if (limits === undefined) throw new Error('no service');
  const counters = newServiceCounters().datagram;
  const guard = new DatagramGuard({
    limits,
    access,
    ownPorts: new Set(),
    broadcasts: new Set(),
    random: () => 0,
    loops: new LoopBreaker(() => 0),
  });
  const failures: Error[] = [];
  const listenerFailed = (error: Error): void => void failures.push(error);
  const connectionLog = { serviceFailed() {}, listenerFailed } as unknown as ConnectionLog;
  const listener = new KernelDatagramListener({
    target,
    service,
    receiveBufferBytes,
    fragment: false,
    neighborhood: new Neighborhood({ addresses: () => [], routes() {}, neighbors() {} }),
    guard,
    counters,
    timer: new HandlerTimer(newHandlerTime(), clock),
    offenders: new Offenders(new SourceMask(limits.sourcePrefix), String),
    faults: undefined,
    connectionLog,
    clock,
  });
  return { listener, counters, failures };
}

it('leaves a socket alone that stays ready without a datagram, and says so once', async () => {
  const ip = parseIp('127.0.0.1');
  if (ip === undefined) throw new Error('no address');
  const descriptor = bindUdp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 1 << 20);
  onTestFinished(() => closeSync(descriptor));
  const { listener, failures } = listen({ transport: 'udp', family: 'ipv4', fd: duplicate(descriptor) ?? -1 });
  onTestFinished(() => listener.destroy());
  await listener.open();
  const waiting = clock.waiting;
  // Whoever has a copy can do this.
  requireLibc().shutdown(descriptor, 2);
  await until(() => failures.length === 1, 'the error');
  // It waits for the clock, which stands still.
  expect(clock.waiting).toBe(waiting + 1);
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(100);
  await until(() => clock.waiting === waiting + 1, 'the next pause');
  expect(failures).toHaveLength(1);
});

it('leaves no reply in the queue that all sockets share if a turn fails', async () => {
  const ip = parseIp('127.0.0.1')!;
  const descriptor = bindUdp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 1 << 20);
  const bound = boundTo(descriptor);
  const client = await UdpClient.open('127.0.0.1');
  // They wait in the socket, so that one call receives them both.
  for (const text of ['one', 'two'])
    await new Promise((resolve) => client.socket.send(text, 'port' in bound ? bound.port : 0, '127.0.0.1', resolve));
  const { listener, counters } = listen({ transport: 'udp', family: 'ipv4', fd: descriptor });
  onTestFinished(() => listener.destroy());
  const batch = datagramBatch();
  const isUnicast = vi.spyOn(batch, 'isUnicast').mockReturnValueOnce(true);
  onTestFinished(() => isUnicast.mockRestore());
  isUnicast.mockImplementationOnce(() => {
    throw new Error('a defect');
  });
  await listener.open();
  expect(() => listener.ready()).toThrow('a defect');
  expect([counters.received, counters.sent]).toEqual([1, 1]);
  const send = vi.spyOn(requireLibc(), 'sendmmsg');
  onTestFinished(() => send.mockRestore());
  batch.send(descriptor, () => {});
  expect(send).not.toHaveBeenCalled();
});

it('sends what it has answered if the service closes it meanwhile', async () => {
  const { listener, counters } = listen(loopback, {
    datagram(request) {
      listener.suspend();
      return request;
    },
  });
  onTestFinished(() => listener.destroy());
  const { port } = await listener.open();
  const client = await UdpClient.open('127.0.0.1');
  expect(String(await client.ask('close', { host: '127.0.0.1', port }))).toBe('close');
  await listener.drain();
  expect([counters.received, counters.sent]).toEqual([1, 1]);
});

describe('the origin of a datagram', () => {
  const IP_TOS = 1;
  const IPV6_TCLASS = 67;

  it.each([
    ['ipv4', '0.0.0.0', '127.0.0.1', '127.0.0.5', 0, IP_TOS],
    ['ipv6', '::', '::1', '::1', 41, IPV6_TCLASS],
  ] as const)('over %s is what the kernel says', async (family, address, from, host, level, option) => {
    const seen: DatagramOrigin[] = [];
    const service: Service = {
      readsHeaders: true,
      datagram(request, _limit, origin) {
        const { peer, via, local, listener: name, receivedAtUs, ttl, dscp, ecn } = origin;
        seen.push({ peer, via, local, listener: name, receivedAtUs, ttl, dscp, ecn });
        return request;
      },
    };
    const { listener } = listen({ transport: 'udp', family, address, port: 0 }, service);
    onTestFinished(() => listener.destroy());
    const { port } = await listener.open();
    const client = await UdpClient.open(from);
    client.socket.setTTL(33);
    // Expedited forwarding, and ECN-capable.
    expect(
      requireLibc().setsockopt(descriptorOf(client.socket), level, option, new Uint8Array([0xb8 | 2, 0, 0, 0]), 4),
    ).toBe(0);
    const beforeUs = Date.now() * 1000;
    await client.ask('hello', { host, port });
    const own = client.socket.address();
    expect(seen).toEqual([
      {
        peer: { family, address: from, port: own.port },
        via: undefined,
        local: { family, address: host, port },
        listener: `udp://${family === 'ipv4' ? address : `[${address}]`}:${port}`,
        receivedAtUs: expect.any(Number) as number,
        ttl: 33,
        dscp: 46,
        ecn: 2,
      },
    ]);
    const { receivedAtUs = 0 } = seen[0] ?? {};
    expect(receivedAtUs).toBeGreaterThanOrEqual(beforeUs - 1000);
    expect(receivedAtUs).toBeLessThanOrEqual(Date.now() * 1000 + 1000);
  });

  it('lacks what the service has not asked for', async () => {
    const seen: unknown[] = [];
    const service: Service = {
      datagram(request, _limit, { ttl, dscp, ecn, receivedAtUs }) {
        seen.push(ttl, dscp, ecn, receivedAtUs);
        return request;
      },
    };
    const { listener } = listen(loopback, service);
    onTestFinished(() => listener.destroy());
    const { port } = await listener.open();
    await (await UdpClient.open('127.0.0.1')).ask('hello', { host: '127.0.0.1', port });
    expect(seen).toEqual([undefined, undefined, undefined, clock.now().getTime() * 1000]);
  });
});

describe('a service that replies at once', () => {
  it.each([
    ['ipv4', '127.0.0.1', 0, 1],
    ['ipv6', '::1', 41, 67],
  ] as const)(
    'has over %s the DSCP of the request in its reply, and not its ECN',
    async (family, host, level, name) => {
      const service: Service = { readsHeaders: true, repliesAtOnce: true, datagram: (request) => request };
      const { listener } = listen({ transport: 'udp', family, address: host, port: 0 }, service);
      onTestFinished(() => listener.destroy());
      const { port } = await listener.open();
      const client = await UdpClient.open(host);
      const batch = new DatagramBatch(requireLibc());
      const ip = parseIp(host)!;
      const descriptor = bindUdp({ family, ip, port: 0, interfaceIndex: 0 }, 1 << 20);
      onTestFinished(() => closeSync(descriptor));
      tellHeaders(descriptor, family);
      const address = new SocketAddress();
      if (family === 'ipv4') address.setIpv4(ip, port);
      else address.setIpv6(ip, port, 0);
      expect(requireLibc().connect(descriptor, address.bytes, address.length[0] ?? 0)).toBe(0);
      const seen: (number | undefined)[] = [];
      // Expedited forwarding and ECN-capable, then neither.
      for (const trafficClass of [0xb8 | 2, 0]) {
        const memory = new Uint8Array([trafficClass, 0, 0, 0]);
        expect(requireLibc().setsockopt(descriptor, level, name, memory, 4)).toBe(0);
        expect(requireLibc().send(descriptor, Buffer.from('hello'), 5, 0)).toBe(5);
        let count = 0;
        await until(() => (count = batch.receive(descriptor)) > 0, 'the reply');
        expect([count, String(batch.request(0))]).toEqual([1, 'hello']);
        seen.push(batch.trafficClass(0));
      }
      expect(seen).toEqual([0xb8, 0]);
      // What others get is not affected.
      expect(String(await client.ask('again', { host, port }))).toBe('again');
    },
  );

  it('keeps the DSCP of the request in a reply that a fault holds back', async () => {
    const service: Service = { readsHeaders: true, repliesAtOnce: true, datagram: (request) => request };
    const { listener, counters } = listen(loopback, service);
    onTestFinished(() => listener.destroy());
    const { port } = await listener.open();
    const rules = rulesOf({ delay: { probability: 1, timeMs: 5, jitterMs: 0, distribution: 'normal' } });
    const budget = new DelayedBudget();
    budget.limits = rules.maxDelayed;
    listener.setFaults(new ServiceFaults(rules, new DelayQueue(clock), budget, newFaultCounts()));
    const batch = new DatagramBatch(requireLibc());
    const ip = parseIp('127.0.0.1')!;
    const descriptor = bindUdp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 1 << 20);
    onTestFinished(() => closeSync(descriptor));
    tellHeaders(descriptor, 'ipv4');
    const address = new SocketAddress();
    address.setIpv4(ip, port);
    expect(requireLibc().connect(descriptor, address.bytes, address.length[0] ?? 0)).toBe(0);
    expect(requireLibc().setsockopt(descriptor, 0, 1, new Uint8Array([0xb8 | 2, 0, 0, 0]), 4)).toBe(0);
    expect(requireLibc().send(descriptor, Buffer.from('late'), 4, 0)).toBe(4);
    await until(() => counters.received === 1, 'the request');
    expect(counters.sent).toBe(0);
    clock.advance(5);
    await until(() => batch.receive(descriptor) > 0, 'the reply');
    expect([String(batch.request(0)), batch.trafficClass(0)]).toEqual(['late', 0xb8]);
  });

  it('sends each reply before it gets the next datagram', async () => {
    const ip = parseIp('127.0.0.1')!;
    const descriptor = bindUdp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 1 << 20);
    const bound = boundTo(descriptor);
    const port = 'port' in bound ? bound.port : 0;
    const client = await UdpClient.open('127.0.0.1');
    // They wait in the socket, so that one call receives them all.
    for (const text of ['one', 'two', 'three'])
      await new Promise((resolve) => client.socket.send(text, port, '127.0.0.1', resolve));
    const send = vi.spyOn(requireLibc(), 'sendmmsg');
    onTestFinished(() => send.mockRestore());
    const sentBefore: number[] = [];
    const service: Service = {
      repliesAtOnce: true,
      datagram(request) {
        sentBefore.push(send.mock.calls.length);
        return request;
      },
    };
    const { listener, counters } = listen({ transport: 'udp', family: 'ipv4', fd: descriptor }, service);
    onTestFinished(() => listener.destroy());
    await listener.open();
    expect((await client.take(3)).map(String)).toEqual(['one', 'two', 'three']);
    expect(sentBefore).toEqual([0, 1, 2]);
    expect(counters).toMatchObject({ received: 3, sent: 3, bytesOut: 11 });
  });

  it('counts a reply that the kernel refuses as that', async () => {
    const service: Service = { repliesAtOnce: true, datagram: () => Buffer.alloc(1200) };
    const { listener, counters } = listen(loopback, service);
    onTestFinished(() => listener.destroy());
    const { port } = await listener.open();
    const send = vi.spyOn(requireLibc(), 'sendmmsg').mockReturnValueOnce(-1);
    onTestFinished(() => send.mockRestore());
    const client = await UdpClient.open('127.0.0.1');
    client.send(Buffer.alloc(1200), { host: '127.0.0.1', port });
    await until(() => counters.dropped['send-error'] === 1, 'the refusal');
    expect(counters).toMatchObject({ received: 1, sent: 0, bytesOut: 0 });
    expect(await client.ask(Buffer.alloc(1200), { host: '127.0.0.1', port })).toHaveLength(1200);
  });
});

describe('a datagram listener over a direct socket', () => {
  it.each([
    ['udp4://*:0', '0.0.0.0', '127.0.0.1', ['127.0.0.1', '127.0.0.5', '127.1.2.3']],
    ['udp6://*:0', '::', '::1', ['::1']],
  ])('on %s answers from each address that is asked', async (text, bound, from, addresses) => {
    const daemon = await serve({ echo: { listen: [text] } }, { sockets: 'kernel' });
    const { port } = daemon.target('echo', 'udp', bound);
    const client = await UdpClient.open(from);
    for (const host of addresses) expect(String(await client.ask(host, { host, port }))).toBe(host);
    expect(client.replies.map((reply) => reply.from)).toEqual(addresses.map((host) => ({ host, port })));
  });

  it('answers a burst completely and in order', async () => {
    const daemon = await serve({ echo: { listen: ['udp://127.0.0.1:0'], receiveBuffer: '4MiB' } });
    const client = await UdpClient.open('127.0.0.1');
    const texts = Array.from({ length: 300 }, (_, index) => `datagram ${index}`);
    for (const text of texts) client.send(text, daemon.target('echo', 'udp'));
    expect((await client.take(300)).map(String)).toEqual(texts);
  });

  it('never answers a broadcast, and counts it', async () => {
    const daemon = await serve({ echo: { listen: ['udp4://*:0'] } });
    const { port } = daemon.target('echo', 'udp', '0.0.0.0');
    const client = await UdpClient.open('127.0.0.1', { broadcast: true });
    client.send('everyone', { host: '127.255.255.255', port });
    expect(String(await client.ask('you', { host: '127.0.0.1', port }))).toBe('you');
    await daemon.close();
    expect(client.replies).toHaveLength(1);
    expect(daemon.log.summed('dropped')).toEqual({ destination: 1 });
  });

  it('counts replies that the kernel refuses as not sent', async () => {
    const { listener, counters } = listen(loopback, {
      datagram: () => [Buffer.from('a'), Buffer.alloc(65_510), Buffer.from('b')],
    });
    // The guard would not let the large one pass; a faulty guard must not make the counters wrong.
    const client = await UdpClient.open('127.0.0.1');
    const { port } = await listener.open();
    client.send(Buffer.alloc(60_000), { host: '127.0.0.1', port });
    await client.take(1);
    listener.suspend();
    expect(counters.sent + counters.dropped.amplification + counters.dropped['send-error']).toBe(3);
    expect(counters.bytesOut).toBe(counters.sent);
  });

  it('sends more replies than fit one batch', async () => {
    const many = Array.from({ length: 150 }, (_, index) => Buffer.from(`${index}`));
    const { listener, counters } = listen(loopback, { datagram: () => many });
    const client = await UdpClient.open('127.0.0.1');
    const { port } = await listener.open();
    client.send(Buffer.alloc(60_000), { host: '127.0.0.1', port });
    expect((await client.take(150)).map(String)).toEqual(many.map(String));
    listener.suspend();
    expect(counters).toMatchObject({ received: 1, sent: 150 });
  });

  it('leaves to the next reader of its socket what arrives after it was suspended', async () => {
    const ip = parseIp('127.0.0.1');
    if (ip === undefined) throw new Error('no address');
    const descriptor = bindUdp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 1 << 20);
    const { port = 0 } = boundTo(descriptor) as { port?: number };
    const inherited = (): DatagramTarget => ({ transport: 'udp', family: 'ipv4', fd: duplicate(descriptor) ?? -1 });
    const [first, second] = [listen(inherited()), listen(inherited())];
    const client = await UdpClient.open('127.0.0.1');
    await first.listener.open();
    await client.ask('first', { host: '127.0.0.1', port });
    first.listener.suspend();
    await first.listener.drain();
    client.send('second', { host: '127.0.0.1', port });
    await second.listener.open();
    expect((await client.take(2)).map(String)).toEqual(['first', 'second']);
    second.listener.destroy();
    closeSync(descriptor);
    expect([first.counters.received, second.counters.received]).toEqual([1, 1]);
  });

  it('serves an inherited socket, whatever its creator has set', async () => {
    const descriptor = bindUdp({ family: 'ipv4', ip: parseIp('127.0.0.1')!, port: 0, interfaceIndex: 0 }, 1 << 20);
    // SO_TIMESTAMP, SO_TIMESTAMPING, SO_RXQ_OVFL, SO_MARK as control data, then IP_RECVOPTS, IP_RETOPTS, IP_RECVTTL,
    // IP_RECVTOS, IP_RECVERR, IP_RECVORIGDSTADDR, IP_CHECKSUM and IP_RECVFRAGSIZE, and UDP_GRO.
    const script = `
import socket
s = socket.socket(fileno=3)
for level, names in [(1, [29, 40, 75]), (0, [6, 7, 12, 13, 11, 20, 23, 25]), (17, [104])]:
    for name in names: s.setsockopt(level, name, 1)
s.setsockopt(1, 37, 0b11111)
s.detach()`;
    execFileSync('python3', ['-c', script], { stdio: ['ignore', 'inherit', 'inherit', descriptor] });
    const { port = 0 } = boundTo(descriptor) as { port?: number };
    const { listener, counters } = listen({ transport: 'udp', family: 'ipv4', fd: descriptor });
    await listener.open();
    const sender = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[1])))
# UDP_SEGMENT: eight datagrams of 100 bytes, which UDP_GRO would leave merged.
s.setsockopt(17, 103, 100)
s.send(b"x" * 800)
s.settimeout(10)
print([len(s.recv(2000)) for _ in range(8)])`;
    const answers = await promisify(execFile)('python3', ['-c', sender, String(port)]);
    expect(JSON.parse(answers.stdout)).toEqual(Array(8).fill(100));
    listener.destroy();
    expect(counters).toMatchObject({ received: 8, sent: 8 });
  });

  // What each is called in python, and the value that its creator sets.
  const options: readonly (readonly [name: string, level: number, option: number, value: string])[] = [
    ['UDP_CORK', 17, 1, '1'],
    ['UDP_SEGMENT', 17, 103, '50'],
    ['UDP_GRO', 17, 104, '1'],
    ['IP_RECVERR', 0, 11, '1'],
    // Four times "no operation".
    ['IP_OPTIONS', 0, 4, 'b"\\1\\1\\1\\1"'],
    // Software times of all that is sent.
    ['SO_TIMESTAMPING', 1, 37, '0b10010'],
    ['IPV6_RECVERR', 41, 25, '1'],
    // A routing header of segments, with one address.
    ['IPV6_RTHDR', 41, 57, 'bytes([0, 2, 4, 0, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, "::1")'],
  ];

  it.each(
    (['ipv4', 'ipv6'] as const).flatMap((family) =>
      options
        .filter(([, level]) => family === 'ipv6' || level !== 41)
        // Options of IPv4 on an IPv6 socket matter only for clients over IPv4.
        .filter(([name]) => family === 'ipv4' || name !== 'IP_OPTIONS')
        .map(([name, level, option, value]) => ({ name, family, level, option, value })),
    ),
  )('does not keep $name of an inherited $family socket', async ({ family, level, option, value }) => {
    const host = family === 'ipv4' ? '127.0.0.1' : '::1';
    const descriptor = bindUdp({ family, ip: parseIp(host)!, port: 0, interfaceIndex: 0 }, 1 << 20);
    const inPython = (code: string): string => {
      const script = `import socket\ns = socket.socket(fileno=3)\n${code}\ns.detach()`;
      return execFileSync('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit', descriptor] }).toString();
    };
    const asked = `print(s.getsockopt(${level}, ${option}, 64).strip(b"\\0").hex())`;
    expect(inPython(`s.setsockopt(${level}, ${option}, ${value})\n${asked}`).trim()).not.toBe('');
    const { port = 0 } = boundTo(descriptor) as { port?: number };
    const { listener, counters, failures } = listen({ transport: 'udp', family, fd: descriptor });
    await listener.open();
    expect(inPython(asked).trim()).toBe('');
    const client = await UdpClient.open(host);
    for (let turn = 0; turn < 20; turn += 1)
      expect(String(await client.ask(`${turn}`.padEnd(120), { host, port }))).toBe(`${turn}`.padEnd(120));
    listener.destroy();
    expect(failures).toEqual([]);
    expect(counters).toMatchObject({ received: 20, sent: 20 });
  });

  // Raw sockets need root.
  if (process.geteuid?.() === 0)
    it('goes on reading while somebody sends datagrams with wrong checksums', async () => {
      const { listener, counters, failures } = listen(loopback);
      const client = await UdpClient.open('127.0.0.1');
      const { port } = await listener.open();
      // One at a time: the kernel wakes the reader for each, and then discards it.
      const script = `
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
data = b"x" * 400
packet = struct.pack("!HHHH", 40000, int(sys.argv[1]), 8 + len(data), 0x1234) + data
for line in sys.stdin:
    s.sendto(packet, ("127.0.0.1", 0))
    print("sent", flush=True)`;
      const forger = spawn('python3', ['-c', script, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
      onTestFinished(() => void forger.kill('SIGKILL'));
      const lines = createInterface({ input: forger.stdout })[Symbol.asyncIterator]();
      for (let turn = 1; turn <= 40; turn += 1) {
        forger.stdin.write('again\n');
        await lines.next();
        // The clock stands still: a socket that is left alone for a while would never be read again.
        expect(String(await client.ask(`turn ${turn}`, { host: '127.0.0.1', port }))).toBe(`turn ${turn}`);
      }
      for (let turn = 1; turn <= 40; turn += 1) {
        forger.stdin.write('again\n');
        await lines.next();
        await new Promise(setImmediate);
      }
      expect(String(await client.ask('after all', { host: '127.0.0.1', port }))).toBe('after all');
      listener.destroy();
      expect(failures).toEqual([]);
      expect(counters).toMatchObject({ received: 41, sent: 41, dropped: { overflow: 80 } });
    });

  it('counts what the kernel has dropped, once a second and at the end', async () => {
    const { listener, counters } = listen(loopback, {}, 1);
    const client = await UdpClient.open('127.0.0.1');
    const { port } = await listener.open();
    const flood = (): void => {
      // In one turn of the event loop, so nobody reads meanwhile.
      for (let index = 0; index < 50; index += 1) client.send(Buffer.alloc(1000), { host: '127.0.0.1', port });
    };
    flood();
    await until(() => counters.received > 0, 'what fits');
    clock.advance(1000);
    const seen = counters.dropped.overflow;
    expect(seen).toBeGreaterThan(0);
    flood();
    await until(() => counters.received > 50 - seen, 'what fits again');
    listener.suspend();
    expect(counters.dropped.overflow).toBeGreaterThan(seen);
    expect(counters.received + counters.dropped.overflow).toBeLessThanOrEqual(100);
  });
});

/** Node has no other way to set what it does not know. Its property of the handle went with Node 26. */
function descriptorOf(socket: Socket): number {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  if (state === undefined) throw new Error('this Node keeps the handle elsewhere');
  const { handle } = (socket as unknown as Record<symbol, { readonly handle: { readonly fd: number } }>)[state]!;
  return handle.fd;
}
