import { createSocket, Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { serve } from '../../../support/daemon.ts';
import { freePort } from '../../../support/ports.ts';
import { UdpClient } from '../../../support/udp.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until } from '../../../support/wait.ts';

const listen = ['udp://127.0.0.1:0'];

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a datagram listener', () => {
  it('counts what the guard drops by reason, in one summary line', async () => {
    const daemon = await serve({ echo: { listen, deny: ['127.0.0.0/8'] } });
    const client = await UdpClient.open('127.0.0.1');
    const seen = vi.spyOn(Socket.prototype, 'emit');
    for (let turn = 0; turn < 20; turn += 1) client.send('x', daemon.target('echo', 'udp'));
    await until(() => seen.mock.calls.filter(([event]) => event === 'message').length >= 20, '20 datagrams');
    await daemon.close();
    expect(client.replies).toEqual([]);
    expect(daemon.log.lines.map(({ msg }) => msg)).toEqual(['clients refused or datagrams dropped']);
    expect(daemon.log.summed('dropped')).toEqual({ denied: 20 });
  });

  it('never answers a port of our own, whichever service has it', async () => {
    const daemon = await serve({ echo: { listen }, time: { listen } });
    const [echo, time] = [daemon.target('echo', 'udp'), daemon.target('time', 'udp')];
    // As a forged packet from time would do: what echo sends there comes back as a request from echo's port.
    const forger = vi.spyOn(Socket.prototype, 'emit');
    const client = await UdpClient.open('127.0.0.1');
    await client.ask('x', echo);
    const socket = forger.mock.contexts[forger.mock.calls.findIndex(([event]) => event === 'message')] as Socket;
    expect(socket.address().port).toBe(echo.port);
    socket.emit('message', Buffer.from('forged'), { address: '127.0.0.1', family: 'IPv4', port: time.port, size: 6 });
    await client.ask('y', echo);
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ 'source-port': 1 });
  });

  it('with dryRun answers what the rates would drop, and counts it', async () => {
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

  it('survives a datagram from port 0, to which nothing can be sent', async () => {
    const daemon = await serve({ echo: { listen } });
    const target = daemon.target('echo', 'udp');
    const seen = vi.spyOn(Socket.prototype, 'emit');
    const client = await UdpClient.open('127.0.0.1');
    await client.ask('x', target);
    const socket = seen.mock.contexts[seen.mock.calls.findIndex(([event]) => event === 'message')] as Socket;
    socket.emit('message', Buffer.from('forged'), { address: '127.0.0.1', family: 'IPv4', port: 0, size: 6 });
    expect((await client.ask('alive', target)).toString()).toBe('alive');
    await daemon.close();
    expect(daemon.log.summed('dropped')).toEqual({ 'source-port': 1 });
  });

  it('drops as busy while its send queue is past its bound', async () => {
    const daemon = await serve({ echo: { listen } });
    const target = daemon.target('echo', 'udp');
    const client = await UdpClient.open('127.0.0.1');
    const queue = vi.spyOn(Socket.prototype, 'getSendQueueSize').mockReturnValueOnce(1024 * 1024 + 1);
    client.send('dropped', target);
    expect((await client.ask('answered', target)).toString()).toBe('answered');
    expect(queue).toHaveBeenCalledTimes(2);
    await daemon.close();
    expect(client.replies).toHaveLength(1);
    expect(daemon.log.summed('dropped')).toEqual({ busy: 1 });
  });

  it('answers nothing after suspend, and frees its port', async () => {
    const daemon = await serve({ echo: { listen } });
    const { host, port } = daemon.target('echo', 'udp');
    await daemon.close();
    const again = createSocket('udp4');
    again.bind({ address: host, port, exclusive: true });
    await once(again, 'listening');
    again.close();
  });

  it('sends what waits in its queue before it closes', async () => {
    const daemon = await serve({ echo: { listen } });
    const client = await UdpClient.open('127.0.0.1');
    const seen = vi.spyOn(Socket.prototype, 'emit');
    client.send('last words', daemon.target('echo', 'udp'));
    await until(() => seen.mock.calls.some(([event]) => event === 'message'), 'the datagram');
    const queue = vi.spyOn(Socket.prototype, 'getSendQueueSize').mockReturnValueOnce(10);
    await daemon.close();
    expect(queue.mock.calls.length).toBeGreaterThanOrEqual(2);
    expect((await client.take(1)).map(String)).toEqual(['last words']);
  });

  it('asks for the receive buffer that the config names', async () => {
    const daemon = await serve({ echo: { listen, receiveBuffer: '32KiB' } });
    const seen = vi.spyOn(Socket.prototype, 'emit');
    const client = await UdpClient.open('127.0.0.1');
    await client.ask('x', daemon.target('echo', 'udp'));
    const socket = seen.mock.contexts[seen.mock.calls.findIndex(([event]) => event === 'message')] as Socket;
    // socket(7): the kernel doubles the value, for its own bookkeeping.
    expect(socket.getRecvBufferSize()).toBe(2 * 32 * 1024);
  });
});

describe('TCP beside it', () => {
  it('may have the same port number', async () => {
    const port = await freePort();
    const daemon = await serve({ echo: { listen: [`tcp://127.0.0.1:${port}`, `udp://127.0.0.1:${port}`] } });
    const [tcp, udp] = [await TcpClient.connect({ host: '127.0.0.1', port }), await UdpClient.open('127.0.0.1')];
    tcp?.finish('over TCP');
    expect((await tcp?.takeAll())?.toString()).toBe('over TCP');
    expect((await udp?.ask('over UDP', daemon.target('echo', 'udp')))?.toString()).toBe('over UDP');
  });
});
