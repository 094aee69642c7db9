import { describe, expect, it } from 'vitest';
import type { ServiceModule } from '../../../../src/service.ts';
import { largestPayloadWithin, wireSize } from '../../../../src/wire-size.ts';
import { hasIpv6, serve, type TestDaemon } from '../../../support/daemon.ts';
import { datagramHeader, proxied } from '../../../support/proxy-datagram.ts';
import { UdpClient, type UdpTarget } from '../../../support/udp.ts';

const client = ['192.0.2.7', 40_000] as const;
const other = ['2001:db8::7', 40_001] as const;

/** Answers with as much as it may. */
const fills: ServiceModule = {
  name: 'fills',
  summary: 'test: replies as large as they may be',
  options: {},
  create: () => ({ datagram: (_request, limit) => Buffer.alloc(limit) }),
};

interface Served {
  readonly daemon: TestDaemon;
  readonly target: UdpTarget;
  readonly proxy: UdpClient;
}

/** What the summaries say when the daemon has closed. */
async function droppedWhenClosed(daemon: TestDaemon): Promise<Record<string, number>> {
  await daemon.close(0);
  return daemon.log.summed('dropped');
}

/** What `envelope` answers. */
async function whoIs({ proxy, target }: Served, datagram: Uint8Array | string): Promise<unknown> {
  return JSON.parse(String(await proxy.ask(datagram, target)));
}

describe.each(['kernel', 'node'])('datagrams through a proxy, with sockets: %s', (sockets) => {
  async function serveOne(type: string, config: object = {}, host = '127.0.0.1'): Promise<Served> {
    const listen = [`udp://${host.includes(':') ? `[${host}]` : host}:0`];
    const proxyProtocol = { from: ['127.0.0.0/8', '::1'] };
    const daemon = await serve({ [type]: { listen, proxyProtocol, ...config } }, { sockets });
    return { daemon, target: daemon.target(type, 'udp', host), proxy: await UdpClient.open(host) };
  }

  describe('the client', () => {
    const seesPeers = { fields: ['request', 'peer', 'via'], maxAmplification: 9 };

    it.each(['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])])('is that of the header, over %s', async (host) => {
      const served = await serveOne('envelope', seesPeers, host);
      const via = [`${host === '::1' ? '[::1]' : host}:${served.proxy.port}`];
      const long = { tlvs: Buffer.alloc(500) };
      expect(await whoIs(served, proxied(...client, 'one'))).toEqual({ request: 'one', peer: '192.0.2.7:40000', via });
      const two = proxied(...other, 'two', long);
      expect(await whoIs(served, two)).toEqual({ request: 'two', peer: '[2001:db8::7]:40001', via });
    });

    it('is that of the last header of the flow, if a datagram has none', async () => {
      const served = await serveOne('envelope', seesPeers);
      await whoIs(served, proxied(...client, 'one'));
      expect(await whoIs(served, 'two')).toMatchObject({ request: 'two', peer: '192.0.2.7:40000' });
      await whoIs(served, proxied(...other, 'three'));
      expect(await whoIs(served, 'four')).toMatchObject({ request: 'four', peer: '[2001:db8::7]:40001' });
      const another = { ...served, proxy: await UdpClient.open('127.0.0.1') };
      await whoIs(another, proxied(...client, 'five'));
      expect(await whoIs(served, 'six')).toMatchObject({ request: 'six', peer: '[2001:db8::7]:40001' });
    });

    it('is all that a service sees of another address: the rest is as it arrived from the proxy', async () => {
      const fields = ['listener', 'transport', 'local', 'peer', 'ttl', 'dscp'];
      const { proxy, target } = await serveOne('envelope', { fields, maxAmplification: 9 });
      const [direct, through] = [Buffer.from('x'), proxied(...client, 'x')];
      const plain = await serve(
        { envelope: { listen: ['udp://127.0.0.1:0'], fields, maxAmplification: 9 } },
        { sockets },
      );
      const own = plain.target('envelope', 'udp');
      const { ttl, dscp } = JSON.parse(String(await proxy.ask(direct, own))) as { ttl: unknown; dscp: unknown };
      expect(JSON.parse(String(await proxy.ask(through, target)))).toEqual({
        listener: `udp://127.0.0.1:${target.port}`,
        transport: 'udp',
        local: `127.0.0.1:${target.port}`,
        peer: '192.0.2.7:40000',
        ttl,
        dscp,
      });
    });

    it.each([
      ['LOCAL', { command: 0x20, family: 0 }],
      ['UNSPEC', { family: 0 }],
      ['TCP', { family: 0x11 }],
    ])('is the proxy itself if the header names none: %s', async (_kind, parts) => {
      const served = await serveOne('envelope', seesPeers);
      const peer = `127.0.0.1:${served.proxy.port}`;
      expect(await whoIs(served, proxied(...client, 'x', parts))).toEqual({ request: 'x', peer, via: [peer] });
      expect(await whoIs(served, 'y')).toEqual({ request: 'y', peer, via: [peer] });
    });
  });

  it('are answered to the proxy, from the address that was asked, without a header', async () => {
    const { daemon, target, proxy } = await serveOne('echo');
    expect(String(await proxy.ask(proxied(...client, 'hello'), target))).toBe('hello');
    expect(await proxy.ask(datagramHeader(...client), target)).toHaveLength(0);
    expect(await proxy.ask(proxied(...client, Buffer.alloc(60_000, 'x')), target)).toHaveLength(60_000);
    expect(proxy.replies.map(({ from }) => from)).toEqual([target, target, target]);
    expect(await droppedWhenClosed(daemon)).toEqual({});
  });

  it('are answered to the proxy by what a fault has delayed, too', async () => {
    const { target, proxy } = await serveOne('echo', { faults: { delay: { time: '20ms' } } });
    const another = await UdpClient.open('127.0.0.1');
    proxy.send(proxied(...client, 'one'), target);
    another.send(proxied(...client, 'two'), target);
    expect((await proxy.take(1)).map(String)).toEqual(['one']);
    expect((await another.take(1)).map(String)).toEqual(['two']);
  });

  it.each([
    ['one without a header, of no flow', Buffer.from('hello')],
    ['an empty one, of no flow', Buffer.alloc(0)],
    ['a header of version 1', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 40000 7\r\nhello')],
    ['a malformed header', proxied(...client, 'hello', { family: 0x22 })],
    ['a header that the datagram cuts off', datagramHeader(...client).subarray(0, -1)],
    ['a multicast client', proxied('224.0.0.1', 40_000, 'hello')],
    // Inside, these two stand for a UNIX user and an IPv4 address.
    ['the source of a UNIX user', proxied('ffff:fffe:0:4d2::', 40_000, 'hello')],
    ['an IPv4 source in disguise', proxied('ffff:ffff:c000:201::', 40_000, 'hello')],
  ])('are dropped as proxy-header: %s', async (_what, datagram) => {
    const { daemon, target, proxy } = await serveOne('echo');
    proxy.send(datagram, target);
    expect(String(await proxy.ask(proxied(...client, 'next'), target))).toBe('next');
    expect(await droppedWhenClosed(daemon)).toEqual({ 'proxy-header': 1 });
  });

  it('are dropped as proxy-header from whoever is not in the list, naming it as the offender', async () => {
    const { daemon, target, proxy } = await serveOne('echo', { proxyProtocol: { from: ['127.0.0.2'] } });
    const trusted = await UdpClient.open('127.0.0.2');
    for (let turn = 0; turn < 3; turn += 1) proxy.send(proxied(...client, 'hello'), target);
    await trusted.ask(proxied(...client, 'hello'), target);
    proxy.send('hello', target);
    await trusted.ask('hello', target);
    expect(await droppedWhenClosed(daemon)).toEqual({ 'proxy-header': 4 });
    expect(proxy.replies).toEqual([]);
    expect(daemon.log.lines).toMatchObject([{ droppedMostly: { 'proxy-header': '127.0.0.0/24' } }]);
  });

  it.each([
    ['denied', { deny: ['192.0.2.7'] }, proxied(...client, 'x'), 'denied', '192.0.2.0/24'],
    ['not allowed', { allow: ['127.0.0.1', '198.51.100.7'] }, proxied(...client, 'x'), 'denied', '192.0.2.0/24'],
    ['on the port of a service', {}, proxied('192.0.2.7', 7, 'x'), 'source-port', 'port 7'],
    ['unspecified', {}, proxied('0.0.0.0', 40_000, 'x'), 'source-address', '0.0.0.0/24'],
  ])('are subject to the rules by their client: %s', async (_rule, config, datagram, reason, offender) => {
    const { daemon, target, proxy } = await serveOne('echo', config);
    proxy.send(datagram, target);
    // The rules hold for the flow.
    proxy.send('without a header', target);
    const another = await UdpClient.open('127.0.0.1');
    another.send(datagram, target);
    const last = await UdpClient.open('127.0.0.1');
    await last.ask(proxied('198.51.100.7', 40_000, 'x'), target);
    await daemon.close(0);
    expect(daemon.log.summed('dropped')).toEqual({ [reason]: 3 });
    expect(daemon.log.lines).toMatchObject([{ droppedMostly: { [reason]: offender } }]);
    expect([...proxy.replies, ...another.replies]).toEqual([]);
  });

  it('never have an exempt client by default, not even loopback', async () => {
    const datagramRate = { perSecond: 1, burst: 1 };
    const { daemon, target, proxy } = await serveOne('echo', { datagramRate });
    await proxy.ask(proxied('127.0.0.1', 40_000, 'first'), target);
    proxy.send(proxied('127.0.0.1', 40_000, 'second'), target);
    await proxy.ask(proxied(...client, 'of another source'), target);
    expect(await droppedWhenClosed(daemon)).toEqual({ rate: 1 });
  });

  it('are answered with no more than their payload allows', async () => {
    const { daemon, target, proxy } = await serveOne('envelope');
    proxy.send(proxied(...client, 'x', { tlvs: Buffer.alloc(1000) }), target);
    await proxy.ask(proxied(...client, 'x'.repeat(900)), target);
    expect(await droppedWhenClosed(daemon)).toEqual({ amplification: 1 });
  });

  it.runIf(hasIpv6)('are answered with as much as fits on the way to the proxy, whatever its client has', async () => {
    const listen = ['udp://127.0.0.1:0', 'udp://[::1]:0'];
    const proxyProtocol = { from: ['127.0.0.1', '::1'] };
    const daemon = await serve({ fills: { module: fills, listen, proxyProtocol } }, { sockets });
    for (const host of ['127.0.0.1', '::1']) {
      const target = daemon.target('fills', 'udp', host);
      for (const [address, port] of [client, other]) {
        const proxy = await UdpClient.open(host);
        const isV4 = host === '127.0.0.1';
        const largest = largestPayloadWithin(2 * wireSize(1, isV4), isV4);
        expect(await proxy.ask(proxied(address, port, 'x'), target)).toHaveLength(largest);
        expect(await proxy.ask('x', target)).toHaveLength(largest);
      }
    }
    expect(await droppedWhenClosed(daemon)).toEqual({});
  });
});

it('services without proxies take a header for what it is to them', async () => {
  const daemon = await serve({ echo: { listen: ['udp://127.0.0.1:0'] } });
  const direct = await UdpClient.open('127.0.0.1');
  const datagram = proxied(...client, 'hello');
  expect(await direct.ask(datagram, daemon.target('echo', 'udp'))).toEqual(datagram);
});
