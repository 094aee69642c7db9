import { createSocket, Socket } from 'node:dgram';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { datagramBatch } from '../../../../src/kernel/datagram-batch.ts';
import { duplicate } from '../../../../src/kernel/descriptors.ts';
import { bindUdp, boundTo } from '../../../../src/kernel/sockets.ts';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { freePort } from '../../../support/ports.ts';
import { UdpClient } from '../../../support/udp.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until, within } from '../../../support/wait.ts';

const listen = ['udp://127.0.0.1:0'];

afterEach(() => {
  vi.restoreAllMocks();
});

/** Serves echo, and gives the socket that it listens on. https://nodejs.org/api/diagnostics_channel.html#udp */
async function serveOnSocket(options: object = {}, more: object = {}): Promise<{ daemon: TestDaemon; socket: Socket }> {
  const made: Socket[] = [];
  const note = (message: unknown): void => void made.push((message as { readonly socket: Socket }).socket);
  subscribe('udp.socket', note);
  const daemon = await serve({ echo: { listen, ...options }, ...more }, { sockets: 'node' });
  unsubscribe('udp.socket', note);
  const { port } = daemon.target('echo', 'udp');
  const socket = made.find((each) => each.address().port === port);
  if (socket === undefined) throw new Error('no socket was made for echo');
  return { daemon, socket };
}

describe('a datagram listener over a socket of Node', () => {
  it('counts dropped datagrams by reason in one summary line', async () => {
    const { daemon, socket } = await serveOnSocket({ deny: ['127.0.0.0/8'] });
    const client = await UdpClient.open('127.0.0.1');
    let came = 0;
    socket.on('message', () => (came += 1));
    for (let turn = 0; turn < 20; turn += 1) client.send('x', daemon.target('echo', 'udp'));
    await until(() => came === 20, '20 datagrams');
    await daemon.close();
    expect(client.replies).toEqual([]);
    expect(daemon.log.lines.map(({ msg }) => msg)).toEqual(['clients refused or datagrams dropped']);
    expect(daemon.log.summed('dropped')).toEqual({ denied: 20 });
  });

  it('never answers a port we serve, even from another service', async () => {
    const { daemon, socket } = await serveOnSocket({}, { time: { listen } });
    const [echo, time] = [daemon.target('echo', 'udp'), daemon.target('time', 'udp')];
    const client = await UdpClient.open('127.0.0.1');
    // As a forged packet from time would do: what echo sends there comes back as a request from echo's port.
    socket.emit('message', Buffer.from('forged'), { address: '127.0.0.1', family: 'IPv4', port: time.port, size: 6 });
    await client.ask('y', echo);
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ 'source-port': 1 });
  });

  it('closes an inherited socket at once, so that whoever has a copy gets what arrives', async () => {
    const descriptor = bindUdp({ family: 'ipv4', ip: parseIp('127.0.0.1')!, port: 0, interfaceIndex: 0 }, 1 << 20);
    onTestFinished(() => closeSync(descriptor));
    const bound = boundTo(descriptor);
    const target = { host: '127.0.0.1', port: 'port' in bound ? bound.port : 0 };
    const made: Socket[] = [];
    const note = (message: unknown): void => void made.push((message as { readonly socket: Socket }).socket);
    subscribe('udp.socket', note);
    const faults = { delay: { time: '1h' } };
    const daemon = await serve({ echo: { listen: `fd://${duplicate(descriptor)}`, faults } }, { sockets: 'node' });
    unsubscribe('udp.socket', note);
    let came = 0;
    for (const socket of made) socket.on('message', () => (came += 1));
    const client = await UdpClient.open('127.0.0.1');
    client.send('held back', target);
    await until(() => came === 1, 'the datagram');
    await within(daemon.close(3_600_000), 'the end of the daemon');
    client.send('for the next', target);
    const batch = datagramBatch();
    await until(() => batch.receive(descriptor) === 1, 'the datagram that the daemon left');
    expect(String(batch.request(0))).toBe('for the next');
    expect(client.replies).toEqual([]);
  });

  it('answers and counts datagrams over the rates with dryRun', async () => {
    const slow = { perSecond: 1, burst: 1 };
    const daemon = await serve({ echo: { listen, exempt: [], datagramRate: slow, dryRun: true } });
    const client = await UdpClient.open('127.0.0.1');
    const texts = Array.from({ length: 50 }, (_, index) => String(index));
    for (const text of texts) expect((await client.ask(text, daemon.target('echo', 'udp'))).toString()).toBe(text);
    await daemon.close();
    // One more comes back each second, however long that takes.
    expect(daemon.log.summed('wouldDrop')).toEqual({
      rate: expect.toSatisfy((count: number) => count > 0 && count < 50),
    });
    expect(daemon.log.summed('dropped')).toEqual({});
  });

  it('drops a datagram from port 0 as source-port and keeps serving', async () => {
    const { daemon, socket } = await serveOnSocket();
    const target = daemon.target('echo', 'udp');
    const client = await UdpClient.open('127.0.0.1');
    socket.emit('message', Buffer.from('forged'), { address: '127.0.0.1', family: 'IPv4', port: 0, size: 6 });
    expect((await client.ask('alive', target)).toString()).toBe('alive');
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ 'source-port': 1 });
  });

  it.each([
    ['size', 'getSendQueueSize', 1024 * 1024 + 1],
    ['number of replies', 'getSendQueueCount', 1000],
  ] as const)('drops datagrams as busy while its send queue is over its limit: %s', async (_what, method, value) => {
    const { daemon, socket } = await serveOnSocket();
    const target = daemon.target('echo', 'udp');
    const client = await UdpClient.open('127.0.0.1');
    vi.spyOn(socket, method).mockReturnValueOnce(value);
    client.send('dropped', target);
    expect((await client.ask('answered', target)).toString()).toBe('answered');
    await daemon.close();
    expect(client.replies).toHaveLength(1);
    expect(daemon.log.summed('dropped')).toEqual({ busy: 1 });
  });

  it('frees its port when the daemon closes', async () => {
    const daemon = await serve({ echo: { listen } });
    const { host, port } = daemon.target('echo', 'udp');
    await daemon.close();
    const again = createSocket('udp4');
    again.bind({ address: host, port, exclusive: true });
    await once(again, 'listening');
    again.close();
  });

  it('flushes its send queue before it closes', async () => {
    const { daemon, socket } = await serveOnSocket();
    const client = await UdpClient.open('127.0.0.1');
    const came = once(socket, 'message');
    client.send('last words', daemon.target('echo', 'udp'));
    await came;
    const queue = vi.spyOn(socket, 'getSendQueueCount').mockReturnValueOnce(10);
    await daemon.close();
    // It was asked again: the first answer did not let it close.
    expect(queue.mock.results.map(({ value }) => value as number).slice(0, 2)).toEqual([10, 0]);
    expect((await client.take(1)).map(String)).toEqual(['last words']);
  });

  it('requests the configured receive buffer', async () => {
    const { socket } = await serveOnSocket({ receiveBuffer: '32KiB' });
    // socket(7): the kernel doubles the value, for its own bookkeeping.
    expect(socket.getRecvBufferSize()).toBe(2 * 32 * 1024);
  });
});

describe('a TCP listener next to it', () => {
  it('may have the same port number', async () => {
    const port = await freePort();
    const daemon = await serve({ echo: { listen: [`tcp://127.0.0.1:${port}`, `udp://127.0.0.1:${port}`] } });
    const [tcp, udp] = [await TcpClient.connect({ host: '127.0.0.1', port }), await UdpClient.open('127.0.0.1')];
    tcp?.finish('over TCP');
    expect((await tcp?.takeAll())?.toString()).toBe('over TCP');
    expect((await udp?.ask('over UDP', daemon.target('echo', 'udp')))?.toString()).toBe('over UDP');
  });
});
