/** One broken link of a bundle: requests from the source ports that use it are lost, and no others. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram } from './program.ts';
import { nft, smallserv } from './routed-path.ts';

needs('ip', 'nft');

const client = '192.0.2.1';
const server = '203.0.113.1';
const firstPort = 40_000;
const flows = 16;

interface Bundle {
  readonly near: Network;
  /** The source ports that use the second link, over this protocol. */
  readonly onSecond: (protocol: 'tcp' | 'udp') => readonly number[];
  /** Drops what arrives over the second link. */
  readonly breakSecond: () => void;
}

/** Two links between a client and a server with echo. The kernel chooses one by a hash of addresses and ports. */
async function makeBundle(): Promise<Bundle> {
  const [near, far] = [Network.make(), Network.make()];
  near.join(far, ['10.0.1.1/24'], ['10.0.1.2/24']);
  const second = near.join(far, ['10.0.2.1/24'], ['10.0.2.2/24']);
  near.ip('address', 'add', client, 'dev', 'lo');
  far.ip('address', 'add', server, 'dev', 'lo');
  near.set('net/ipv4/fib_multipath_hash_policy', 1);
  near.ip('route', 'add', server, 'src', client, 'nexthop', 'via', '10.0.1.2', 'nexthop', 'via', '10.0.2.2');
  far.ip('route', 'add', client, 'via', '10.0.1.1');
  const config = join(temporaryDirectory(), 'smallservd.yaml');
  writeFileSync(
    config,
    JSON.stringify({ workers: 0, services: { echo: { listen: ['tcp://*:1201', 'udp://*:1201'] } } }),
  );
  await new DaemonProgram(['--config', config], (argv) => far.inside(argv)).ready();
  const usesSecond = (protocol: string, port: number): boolean => {
    const flow = ['from', client, 'ipproto', protocol, 'sport', String(port), 'dport', '1201'];
    const [command = '', ...args] = near.inside(['ip', 'route', 'get', server, ...flow]);
    return execFileSync(command, args, { encoding: 'utf8' }).includes(second.near);
  };
  const ports = Array.from({ length: flows }, (_, index) => firstPort + index);
  return {
    near,
    onSecond: (protocol) => ports.filter((port) => usesSecond(protocol, port)),
    breakSecond: () =>
      nft(
        far,
        `table ip broken {
          chain input {
            type filter hook input priority 0;
            iifname ${second.far} drop
          }
        }`,
      ),
  };
}

interface Summary {
  readonly outcome: string;
  readonly flows: readonly { readonly sourcePort: number; readonly sent: number; readonly lost: number }[];
}

interface LoadRow {
  readonly sourcePort?: number;
  readonly answered: number;
  readonly failed: number;
}

const many = ['--flows', String(flows), '--source-port', String(firstPort), '--source', client];

it.each(['udp', 'tcp'] as const)('echo shows the flows over a broken link (%s)', async (protocol) => {
  const { near, onSecond, breakSecond } = await makeBundle();
  const [odd, ...others] = onSecond(protocol);
  // Otherwise the hash puts all on one link, and the test shows nothing.
  expect([odd === undefined, others.length < flows - 1]).toEqual([false, true]);
  const args = [
    'echo',
    ...(protocol === 'udp' ? ['-u'] : []),
    '-c',
    '48',
    '-i',
    '5ms',
    '-W',
    '300ms',
    ...many,
    `${server}:1201`,
  ];
  let whole = await smallserv(near, ...args, '--json', '-q');
  // The first packets may be lost: a link takes up to a second to come up.
  for (let tries = 1; whole.code !== 0 && tries < 10; tries++) whole = await smallserv(near, ...args, '--json', '-q');
  expect([whole.code, JSON.parse(whole.output)]).toMatchObject([0, { outcome: 'ok', lost: 0 }]);
  breakSecond();
  const [json, text] = [await smallserv(near, ...args, '--json', '-q'), await smallserv(near, ...args, '-q')];
  const broken = JSON.parse(json.output) as Summary;
  expect([json.code, broken.outcome]).toEqual([1, 'timeout']);
  const lossy = broken.flows.filter(({ lost }) => lost > 0);
  expect(lossy.map(({ sourcePort, sent, lost }) => [sourcePort, sent, lost])).toEqual(
    onSecond(protocol).map((port) => [port, 3, 3]),
  );
  expect(text.output).toMatch(/^ port    sent  received    lost {2}rtt min\/avg\/max$/m);
  expect(text.output.match(/^\d+ +3 +0 +3$/gm)?.map((row) => Number(row.slice(0, 5)))).toEqual(onSecond(protocol));
  expect(text.output.match(/^\d+ +3 +3 +0 {2}[\d.]+\/[\d.]+\/[\d.]+ ms$/gm)).toHaveLength(flows - lossy.length);
  const [, table = ''] = text.output.split(/^(?= port)/m);
  expect(Math.max(...table.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(60);
});

it.each(['udp', 'tcp'] as const)('load shows them, too (%s)', async (protocol) => {
  const { near, onSecond, breakSecond } = await makeBundle();
  await smallserv(near, 'echo', '-c', '200', '-i', '10ms', '-w', '2', `${server}:1201`);
  breakSecond();
  const args = ['load', ...(protocol === 'udp' ? ['-u'] : []), ...many];
  const options = ['-r', '200', '-d', '700ms', '-W', '100ms', '--json', `${server}:1201`];
  const ended = await smallserv(near, ...args, ...options);
  const { flows: rows } = JSON.parse(ended.output) as { flows: readonly LoadRow[] };
  expect(rows).toHaveLength(flows);
  const broken = rows.filter(({ answered }) => answered === 0);
  expect(broken.length).toBeGreaterThan(0);
  expect(rows.filter(({ answered, failed }) => answered > 0 && failed > 0)).toEqual([]);
  const consecutive = rows.map((row, index) => ({ ...row, port: firstPort + index }));
  expect(consecutive.flatMap(({ answered, port }) => (answered === 0 ? [port] : []))).toEqual(onSecond(protocol));
});
