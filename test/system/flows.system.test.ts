/** One broken link of a bundle: requests from the source ports that use it are lost, and no others. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { StampResult } from '../../src/client/stamp/measurement.ts';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram } from './program.ts';
import { nft, smallserv } from './routed-path.ts';

needs('ip', 'nft');

const client = '192.0.2.1';
const server = '203.0.113.1';
const firstPort = 40_000;
const flows = 16;

const services = {
  echo: { listen: ['tcp://*:1201', 'udp://*:1201'] },
  stamp: { listen: ['udp://*:2062'], mode: 'stateful' },
};

interface Bundle {
  readonly near: Network;
  /** The source ports that use the second link, over this protocol, to this port or that of echo. */
  readonly onSecond: (protocol: 'tcp' | 'udp', port?: number) => readonly number[];
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
  writeFileSync(config, JSON.stringify({ workers: 0, services }));
  await new DaemonProgram(['--config', config], (argv) => far.inside(argv)).ready();
  const usesSecond = (protocol: string, from: number, to: number): boolean => {
    const flow = ['from', client, 'ipproto', protocol, 'sport', String(from), 'dport', String(to)];
    const [command = '', ...args] = near.inside(['ip', 'route', 'get', server, ...flow]);
    return execFileSync(command, args, { encoding: 'utf8' }).includes(second.near);
  };
  const ports = Array.from({ length: flows }, (_, index) => firstPort + index);
  return {
    near,
    onSecond: (protocol, to = 1201) => ports.filter((from) => usesSecond(protocol, from, to)),
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

/** Tries again until nothing is lost: a link takes up to a second to come up. */
async function withoutLoss(near: Network, ...args: readonly string[]): Promise<void> {
  let lost = 1;
  for (let tries = 0; lost > 0 && tries < 10; tries++)
    ({ lost } = JSON.parse((await smallserv(near, ...args, '--json', '-q')).output) as { lost: number });
  expect(lost).toBe(0);
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
  await withoutLoss(near, ...args);
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

it('stamp shows them, too, and tells that nothing of them comes back', async () => {
  const { near, onSecond, breakSecond } = await makeBundle();
  const args = ['stamp', '-c', '48', '-i', '5ms', '-W', '2s', ...many, `${server}:2062`];
  await withoutLoss(near, ...args);
  breakSecond();
  const [json, text] = [await smallserv(near, ...args, '--json', '-q'), await smallserv(near, ...args, '-q')];
  const broken = onSecond('udp', 2062);
  expect([broken.length > 0, broken.length < flows]).toEqual([true, true]);
  const { flows: rows = [], ...summary } = JSON.parse(json.output) as StampResult;
  const unknown = 3 * broken.length;
  expect(summary).toMatchObject({ outcome: 'ok', reflectorMode: 'stateful', lost: unknown });
  expect(summary.oneWayLoss).toEqual({ forward: 0, backward: 0, unknown });
  expect(rows).toMatchObject(
    Array.from({ length: flows }, (_, index) => {
      const sourcePort = firstPort + index;
      const received = broken.includes(sourcePort) ? 0 : 3;
      return { sourcePort, sent: 3, received, oneWayLoss: { forward: 0, backward: 0, unknown: 3 - received } };
    }),
  );
  expect(text.output).toContain(`\nlost 0 on the way there, 0 on the way back, ${unknown}, there or back\n`);
  expect(text.output.match(/^\d+ +3 +0 +3$/gm)?.map((row) => Number(row.slice(0, 5)))).toEqual(broken);
});

it.each(['udp', 'tcp'] as const)('load shows them, too (%s)', async (protocol) => {
  const { near, onSecond, breakSecond } = await makeBundle();
  await smallserv(near, 'echo', '-c', '200', '-i', '10ms', '-w', '2', `${server}:1201`);
  breakSecond();
  const args = ['load', ...(protocol === 'udp' ? ['-u'] : []), ...many];
  const options = ['-r', '200', '-d', '700ms', '-W', '1s', '--json', `${server}:1201`];
  const ended = await smallserv(near, ...args, ...options);
  const { flows: rows } = JSON.parse(ended.output) as { flows: readonly LoadRow[] };
  expect(rows).toHaveLength(flows);
  const broken = rows.filter(({ answered }) => answered === 0);
  expect(broken.length).toBeGreaterThan(0);
  expect(rows.filter(({ answered, failed }) => answered > 0 && failed > 0)).toEqual([]);
  const consecutive = rows.map((row, index) => ({ ...row, port: firstPort + index }));
  expect(consecutive.flatMap(({ answered, port }) => (answered === 0 ? [port] : []))).toEqual(onSecond(protocol));
});
