/** How packets of the client tools look on their way: a router counts those that are as asked for. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { Network, needs } from './machine.ts';
import { at, echoPort, type Family, families, makePath, nft, router, server, smallserv } from './routed-path.ts';

needs('ip', 'nft');

const sourcePort = 40_123;
/** A second address of the client. */
const source = { ipv4: '192.0.2.77', ipv6: '2001:db8:2::77' } as const;

/** Counts what comes through the router from the client, marked like this. */
function count(network: Network, family: Family, marks: string): void {
  const [table, from] = family === 'ipv4' ? ['ip', '192.0.2.0/24'] : ['ip6', '2001:db8:2::/64'];
  nft(
    network,
    `table ${table} marks {
      counter asked { }
      counter every { }
      chain forward {
        type filter hook forward priority 0;
        ${table} saddr ${from} counter name every
        ${table} saddr ${from} ${marks} counter name asked
      }
    }`,
  );
}

/** Packets counted so far: as asked for, and all. */
function counted(network: Network, family: Family): readonly [asked: number, all: number] {
  const table = family === 'ipv4' ? 'ip' : 'ip6';
  const packets = ['asked', 'every'].map((name) => {
    const [command = '', ...args] = network.inside(['nft', 'list', 'counter', table, 'marks', name]);
    return Number(/packets (\d+)/.exec(execFileSync(command, args, { encoding: 'utf8' }))?.[1]);
  });
  return [packets[0] ?? 0, packets[1] ?? 0];
}

const prefix = { ipv4: 32, ipv6: 128 } as const;
const gateway = { ipv4: '192.0.2.1', ipv6: '2001:db8:2::1' } as const;

it.each(families)('all packets over %s are as asked for', async (family) => {
  const { client, between } = await makePath();
  client.ip('address', 'add', `${source[family]}/${prefix[family]}`, 'dev', 'lo');
  between.ip('route', 'add', source[family], 'via', gateway[family]);
  const table = family === 'ipv4' ? 'ip' : 'ip6';
  // The router has counted its own hop.
  const ttl = family === 'ipv4' ? 'ip ttl 6 ip frag-off & 0x4000 != 0' : 'ip6 hoplimit 6';
  count(between, family, `${table} saddr ${source[family]} ${table} dscp af41 ${ttl} th sport ${sourcePort}`);
  const target = at(server, family, echoPort);
  const path = [
    '--source',
    source[family],
    '--source-port',
    String(sourcePort),
    '--dscp',
    'af41',
    '--ttl',
    '7',
    '--df',
  ];
  for (const protocol of [['--udp'], []]) {
    const ended = await smallserv(client, 'echo', '--count', '3', '--interval', '10ms', ...protocol, ...path, target);
    expect([ended.code, ended.complaints], ended.output).toEqual([0, '']);
  }
  const [asked, all] = counted(between, family);
  expect(asked).toBeGreaterThanOrEqual(9);
  expect(asked).toBe(all);
});

it.each(families)('pings over %s are marked, too', async (family) => {
  const { client, between } = await makePath();
  const ttl = family === 'ipv4' ? 'ip ttl 6 ip frag-off & 0x4000 != 0' : 'ip6 hoplimit 6';
  count(between, family, `${family === 'ipv4' ? 'ip' : 'ip6'} dscp ef ${ttl}`);
  const options = ['--count', '3', '--interval', '10ms', '--dscp', 'ef', '--ttl', '7', '--df'];
  const ended = await smallserv(client, 'ping', ...options, server[family]);
  expect([ended.code, ended.complaints], ended.output).toEqual([0, '']);
  expect(counted(between, family)).toEqual([3, 3]);
});

it.each(families)('the load of many connections over %s, too', async (family) => {
  const { client, between } = await makePath();
  count(between, family, `${family === 'ipv4' ? 'ip' : 'ip6'} dscp 1`);
  const target = at(server, family, echoPort);
  for (const protocol of [['--udp'], []]) {
    const ended = await smallserv(
      client,
      'load',
      '--requests',
      '50',
      '--connections',
      '5',
      '--dscp',
      'le',
      ...protocol,
      target,
    );
    expect([ended.code, ended.complaints], ended.output).toEqual([0, '']);
  }
  const [asked, all] = counted(between, family);
  expect(asked).toBeGreaterThanOrEqual(100);
  expect(asked).toBe(all);
});

it.each(families)('what must not be fragmented is too big for a narrow path, over %s', async (family) => {
  const { client } = await makePath(1280);
  const target = at(server, family, echoPort);
  const ended = await smallserv(client, 'echo', '-u', '--df', '--json', '-q', '-c', '1', '-s', '1400', target);
  const error = `too big for the path, says ${router[family]}: its MTU is 1280 bytes`;
  expect(ended.complaints).toBe(`smallserv: cannot reach ${target} over UDP: ${error}\n`);
  expect([ended.code, JSON.parse(ended.output)]).toMatchObject([2, { outcome: 'too-big' }]);
  // The path is known now: this machine refuses it itself.
  const again = await smallserv(client, 'echo', '-u', '--df', '--json', '-q', '-c', '1', '-s', '1400', target);
  expect([again.code, JSON.parse(again.output)]).toMatchObject([2, { outcome: 'too-big' }]);
});

it.each(families)('a time to live of one ends at the router, over %s', async (family) => {
  const { client } = await makePath();
  const target = at(server, family, echoPort);
  for (const protocol of [['--udp'], []]) {
    const ended = await smallserv(client, 'daytime', '--ttl', '1', ...protocol, target);
    expect(ended.complaints).toMatch(new RegExp(`: time to live exceeded, says ${router[family]}\n$`));
    expect(ended.code).toBe(2);
  }
});

it.each(families)('an interface is used whatever the routes say, over %s', async (family) => {
  const { client } = await makePath();
  const other = Network.make();
  const { near } = client.join(other, ['198.18.0.1/24', '2001:db8:5::1/64'], ['198.18.0.2/24', '2001:db8:5::2/64']);
  other.ip('address', 'add', `${server[family]}/${prefix[family]}`, 'dev', 'lo');
  const via = family === 'ipv4' ? '198.18.0.2' : '2001:db8:5::2';
  client.ip('route', 'add', 'default', 'via', via, 'metric', '5000');
  const reject = 'meta l4proto { tcp, udp } reject with icmpx type admin-prohibited';
  nft(other, `table inet filter { chain input { type filter hook input priority 0; ${reject}; }; }`);
  const target = at(server, family, echoPort);
  for (const protocol of [['--udp'], []]) {
    const command = ['echo', '-c', '1', ...protocol, target];
    expect(await smallserv(client, ...command)).toMatchObject({ code: 0 });
    const ended = await smallserv(client, ...command, '--interface', near);
    expect(ended.complaints).toMatch(new RegExp(`prohibited by ${server[family]} `));
  }
});
