/** How the client tools say what became of their packets, in a network with a router and a firewall. */
import { expect, it } from 'vitest';
import { Network, needs } from './machine.ts';
import { at, echoPort, families, makePath, nft, nowhere, router, server, smallserv } from './routed-path.ts';

needs('ip', 'nft');

const rejected = { prohibited: 2001, reset: 2002, dropped: 2003, unreachable: 2004 } as const;

const firewall = `table inet filter {
  chain forward {
    type filter hook forward priority 0;
    meta l4proto { tcp, udp } th dport ${rejected.prohibited} reject with icmpx type admin-prohibited
    tcp dport ${rejected.reset} reject with tcp reset
    meta l4proto { tcp, udp } th dport ${rejected.dropped} drop
    meta l4proto { tcp, udp } th dport ${rejected.unreachable} reject with icmpx type host-unreachable
  }
}`;

it.each(families)('tells a firewall, a closed port and a missing route apart, over %s', async (family) => {
  const { client, between } = await makePath();
  nft(between, firewall);
  const words = {
    ipv4: { admin: 'administratively prohibited', host: 'host unreachable', net: 'network unreachable' },
    ipv6: { admin: 'administratively prohibited', host: 'address unreachable', net: 'no route' },
  }[family];
  const cases = [
    [server, 7, 'tcp', 2, 'refused', 'connection refused'],
    [server, 7, 'udp', 2, 'refused', `refused by ${server[family]} (port unreachable)`],
    [server, rejected.prohibited, 'tcp', 2, 'prohibited', `prohibited by ${router[family]} (${words.admin})`],
    [server, rejected.prohibited, 'udp', 2, 'prohibited', `prohibited by ${router[family]} (${words.admin})`],
    [server, rejected.reset, 'tcp', 2, 'refused', 'connection refused'],
    [server, rejected.dropped, 'tcp', 2, 'timeout', 'no answer within 300ms'],
    [server, rejected.dropped, 'udp', 1, 'timeout', 'no answer to one datagram within 300ms'],
    [server, rejected.unreachable, 'tcp', 2, 'unreachable', `${words.host}, says ${router[family]}`],
    [server, rejected.unreachable, 'udp', 2, 'unreachable', `${words.host}, says ${router[family]}`],
    [nowhere, 7, 'tcp', 2, 'unreachable', `${words.net}, says ${router[family]}`],
    [nowhere, 7, 'udp', 2, 'unreachable', `${words.net}, says ${router[family]}`],
  ] as const;
  for (const [addresses, port, protocol, code, outcome, reason] of cases) {
    const target = at(addresses, family, port);
    const udp = protocol === 'udp' ? ['--udp'] : [];
    // What is dropped is waited for, everything else is told at once.
    const timeout = reason.includes('300ms') ? '300ms' : '10s';
    const ended = await smallserv(client, 'daytime', '--json', ...udp, '--timeout', timeout, target);
    expect(ended.complaints, target).toMatch(/^smallserv: .*\n$/);
    expect(ended.complaints.slice(0, -1).endsWith(reason), ended.complaints).toBe(true);
    const document: unknown = JSON.parse(ended.output);
    expect([ended.code, document], target).toEqual([
      code,
      {
        outcome,
        error: ended.complaints.slice('smallserv: '.length, -1),
        target,
        addresses: [{ address: addresses[family], outcome, elapsedMs: expect.any(Number) as number }],
        elapsedMs: expect.any(Number) as number,
      },
    ]);
  }
});

it.each(families)('learns the MTU of a path with the first datagram, over %s', async (family) => {
  const { client } = await makePath(1280);
  const target = at(server, family, echoPort);
  for (const size of [1253, 1400]) {
    const ended = await smallserv(client, 'echo', '-u', '-c', '1', '-s', String(size), '--timeout', '2s', target);
    expect([ended.code, ended.complaints], ended.output).toEqual([0, '']);
  }
});

it('reports what this machine does not send', async () => {
  const lonely = Network.make();
  for (const family of families) {
    const none = await smallserv(lonely, 'daytime', '-u', '--json', at(server, family, 7));
    expect([none.code, JSON.parse(none.output)]).toMatchObject([2, { outcome: 'unreachable' }]);
    expect(none.complaints).toBe(`smallserv: cannot send to ${at(server, family, 7)}: the network is unreachable\n`);
  }
  nft(lonely, 'table inet filter { chain output { type filter hook output priority 0; udp dport 7 drop; }; }');
  const own = await smallserv(lonely, 'daytime', '-u', '--json', '127.0.0.1:7');
  expect([own.code, JSON.parse(own.output)]).toMatchObject([2, { outcome: 'prohibited' }]);
});
