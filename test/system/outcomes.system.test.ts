/** How the client tools say what became of their packets, in a network with a router and a firewall. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, run } from './program.ts';

needs('ip', 'nft');

const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];
const echoPort = 1201;
const server = { ipv4: '203.0.113.1', ipv6: '2001:db8:3::1' } as const;
const router = { ipv4: '192.0.2.254', ipv6: '2001:db8:2::fe' } as const;
/** The client has a route there, and the router has none. */
const nowhere = { ipv4: '198.51.100.1', ipv6: '2001:db8:9::1' } as const;

function at(addresses: Readonly<Record<Family, string>>, family: Family, port: number): string {
  return family === 'ipv6' ? `[${addresses.ipv6}]:${port}` : `${addresses.ipv4}:${port}`;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly complaints: string;
}

/** `smallserv ARGS` in a network, to its end. */
async function smallserv(network: Network, ...args: readonly string[]): Promise<Ended> {
  const { ended, output, complaints } = await run(network.inside([...clientProgram, ...args]));
  return { code: (await ended).code, output, complaints };
}

function nft(network: Network, rules: string): void {
  const [command = '', ...args] = network.inside(['nft', '--file', '-']);
  execFileSync(command, args, { input: rules });
}

/** A client, and behind a router and a link of this MTU a server with an echo service. */
async function makePath(mtu = 1500): Promise<{ client: Network; between: Network }> {
  const [client, between, far] = [Network.make(), Network.make(), Network.make()];
  client.join(between, ['192.0.2.1/24', '2001:db8:2::1/64'], [`${router.ipv4}/24`, `${router.ipv6}/64`]);
  const link = between.join(far, ['203.0.113.254/24', '2001:db8:3::fe/64'], [`${server.ipv4}/24`, `${server.ipv6}/64`]);
  between.ip('link', 'set', link.near, 'mtu', String(mtu));
  far.ip('link', 'set', link.far, 'mtu', String(mtu));
  between.set('net/ipv4/ip_forward', 1);
  between.set('net/ipv6/conf/all/forwarding', 1);
  // An ICMP error for each packet, not only now and then.
  between.set('net/ipv4/icmp_ratelimit', 0);
  between.set('net/ipv6/icmp/ratelimit', 0);
  for (const gateway of Object.values(router)) client.ip('route', 'add', 'default', 'via', gateway);
  for (const gateway of ['203.0.113.254', '2001:db8:3::fe']) far.ip('route', 'add', 'default', 'via', gateway);
  const config = join(temporaryDirectory(), 'smallservd.yaml');
  const listen = [`tcp://*:${echoPort}`, `udp://*:${echoPort}`];
  writeFileSync(config, JSON.stringify({ workers: 0, services: { echo: { listen } } }));
  await new DaemonProgram(['--config', config], (argv) => far.inside(argv)).ready();
  for (const family of families) {
    // The first packets may be lost: a link-local address of the router may be tentative.
    for (let tries = 0; (await smallserv(client, 'echo', '-c', '1', at(server, family, echoPort))).code !== 0; )
      if (++tries === 10) throw new Error(`no answer over ${family}`);
  }
  return { client, between };
}

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
