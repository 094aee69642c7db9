/** smallserv stamp through a router that loses and marks packets, and against a reflector that is not ours. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { StampReplyEvent, StampResult } from '../../src/client/stamp/measurement.ts';
import { clientProgram, Network, needs } from './machine.ts';
import { kill, Program } from './program.ts';
import { at, families, makePath, nft, server, smallserv } from './routed-path.ts';

needs('ip', 'nft', 'python3');

const ports = { stateful: 2062, stateless: 2063, slow: 2064, confused: 2065 } as const;
const services = {
  stamp: { listen: [`udp://*:${ports.stateful}`], mode: 'stateful' },
  'stamp-stateless': { type: 'stamp', listen: [`udp://*:${ports.stateless}`], mode: 'stateless' },
  'stamp-slow': {
    type: 'stamp',
    listen: [`udp://*:${ports.slow}`],
    faults: { delay: { time: '80ms', jitter: '30ms', distribution: 'uniform' } },
  },
  'stamp-confused': {
    type: 'stamp',
    listen: [`udp://*:${ports.confused}`],
    mode: 'stateful',
    faults: { duplicate: 0.5, reorder: { probability: 0.2, time: '100ms' } },
  },
};

interface Measured {
  readonly replies: readonly StampReplyEvent[];
  readonly summary: StampResult;
}

async function stamp(client: Network, ...args: readonly string[]): Promise<Measured> {
  const ended = await smallserv(client, 'stamp', '--json', ...args);
  expect([ended.code, ended.complaints], ended.output).toEqual([0, '']);
  const lines = ended.output.trimEnd().split('\n');
  const objects = lines.map((line) => JSON.parse(line) as { readonly type: string });
  expect(objects.map(({ type }) => type)).toEqual([...Array(lines.length - 1).fill('reply'), 'summary']);
  return { replies: objects.slice(0, -1) as unknown as StampReplyEvent[], summary: objects.at(-1) as never };
}

/**
 * Drops one of four packets on the way there, and one of seven on the way back, and counts them, for each of these
 * ports of the client.
 */
function lose(between: Network, clientPorts: readonly number[]): void {
  const counters = clientPorts.map((port) => `counter there${port} { }\ncounter back${port} { }\n`);
  const rules = clientPorts.map(
    (port) =>
      `udp sport ${port} numgen inc mod 4 == 1 counter name there${port} drop
      udp dport ${port} numgen inc mod 7 == 3 counter name back${port} drop\n`,
  );
  const chain = `chain forward {\ntype filter hook forward priority 0\n${rules.join('')}}\n`;
  nft(between, `table inet losses {\n${counters.join('')}${chain}}\n`);
}

/** Packets from and to a port that the router has dropped so far. */
function lost(between: Network, port: number): { readonly there: number; readonly back: number } {
  const [there = 0, back = 0] = [`there${port}`, `back${port}`].map((name) => {
    const [command = '', ...args] = between.inside(['nft', 'list', 'counter', 'inet', 'losses', name]);
    return Number(/packets (\d+)/.exec(execFileSync(command, args, { encoding: 'utf8' }))?.[1]);
  });
  return { there, back };
}

it('tells the directions of loss apart if the reflector counts, and else the sum', async () => {
  const { client, between } = await makePath(1500, services);
  const modes = ['stateful', 'stateless'] as const;
  const runs = families.flatMap((family) => modes.map((mode) => ({ family, mode })));
  // The packets that ask for the mode come from other ports.
  const sourcePorts = runs.map((_, index) => 40_000 + index);
  lose(between, sourcePorts);
  const results = await Promise.all(
    runs.map(async ({ family, mode }, index) => {
      const options = ['-q', '-c', '100', '-i', '20ms', '--timeout', '1s', '--source-port', `${sourcePorts[index]}`];
      return stamp(client, ...options, at(server, family, ports[mode]));
    }),
  );
  for (const [index, { summary }] of results.entries()) {
    const mode = runs[index]?.mode;
    const truth = lost(between, sourcePorts[index] ?? 0);
    expect(Math.min(truth.there, truth.back)).toBeGreaterThan(5);
    expect(summary).toMatchObject({ sent: 100, lost: truth.there + truth.back, reflectorMode: mode });
    if (mode === 'stateless') {
      expect(summary.oneWayLoss).toBeUndefined();
      continue;
    }
    const { forward = 0, backward = 0, unknown = 0 } = summary.oneWayLoss ?? {};
    expect(forward + backward + unknown).toBe(summary.lost);
    // Of those after the last reply, nobody knows.
    expect(unknown).toBeLessThan(8);
    expect(truth.there - forward).toBeGreaterThanOrEqual(0);
    expect(truth.back - backward).toBeGreaterThanOrEqual(0);
  }
});

describe('delay', () => {
  it('on the way back is that of the network, and its jitter is told for that direction', async () => {
    const { client } = await makePath(1500, services);
    const { replies, summary } = await stamp(client, '-c', '60', '-i', '20ms', at(server, 'ipv4', ports.slow));
    expect(summary.received).toBe(60);
    const { minMs = 0, meanMs = 0 } = summary.times ?? {};
    // Uniform from 80 ms − √3 × 30 ms on, and never early.
    expect(minMs).toBeGreaterThan(27);
    expect(meanMs).toBeGreaterThan(65);
    const { forwardMs = 0, backwardMs = 0 } = summary.jitter ?? {};
    expect(backwardMs).toBeGreaterThan(10);
    expect(forwardMs).toBeLessThan(backwardMs);
    // The fault is behind the time of departure.
    expect(replies.filter(({ reflectorMs = Infinity }) => reflectorMs < 27).length).toBeGreaterThan(30);
  });

  it('on the way there is that of a slow link, and its jitter is told for that direction', async () => {
    const { client, uplink } = await makePath(1500, services);
    // A packet takes the link much longer than the next one waits, so each is later than the one before, even if a
    // loaded machine sends it late.
    const [bytes, intervalMs, bitsPerMs, count] = [1000, 20, 100, 30];
    const shape = ['root', 'tbf', 'rate', `${bitsPerMs}kbit`, 'burst', '1600', 'latency', '60s'];
    const [command = '', ...args] = client.inside(['tc', 'qdisc', 'add', 'dev', uplink, ...shape]);
    execFileSync(command, args);
    const options = ['-c', `${count}`, '-i', `${intervalMs}ms`, '-s', `${bytes}`];
    const { replies, summary } = await stamp(client, ...options, at(server, 'ipv4', ports.stateful));
    // With the headers of UDP, IP and Ethernet.
    const onLinkMs = ((bytes + 8 + 20 + 14) * 8) / bitsPerMs;
    const laterMs = onLinkMs - intervalMs;
    const jitterMs = laterMs * (1 - (15 / 16) ** (count - 1));
    const { forwardMs = 0, backwardMs = 0 } = summary.jitter ?? {};
    expect(forwardMs).toBeGreaterThan(jitterMs * 0.7);
    expect(forwardMs).toBeGreaterThan(3 * backwardMs);
    // The first two find an empty bucket, or none before them.
    expect(replies.at(-1)?.rttMs).toBeGreaterThan((count - 3) * laterMs * 0.7);
    expect(summary).toMatchObject({ sent: count, received: count, reordered: 0, duplicates: 0 });
  });
});

it('counts duplicates and replies that overtake others, and takes neither for loss', async () => {
  const { client } = await makePath(1500, services);
  const target = at(server, 'ipv4', ports.confused);
  const { replies, summary } = await stamp(client, '-c', '100', '-i', '10ms', target);
  const repeated = replies.filter(({ isDuplicate }) => isDuplicate).length;
  expect(summary).toMatchObject({ sent: 100, received: 100, lost: 0, duplicates: repeated, corrupted: 0 });
  // The last reply ends the run, without its duplicate.
  expect(repeated).toBeGreaterThan(20);
  const firsts = replies.filter(({ isDuplicate }) => !isDuplicate).map(({ sequence }) => sequence);
  const overtaken = firsts.filter((sequence, index) => firsts.slice(0, index).some((before) => before > sequence));
  expect(summary.reordered).toBe(overtaken.length);
  expect(overtaken.length).toBeGreaterThan(5);
  expect(summary).toMatchObject({ reflectorMode: 'stateful', oneWayLoss: { forward: 0, backward: 0, unknown: 0 } });
});

it('tells TTL and DSCP as they arrive, at the reflector and here', async () => {
  const { client, between } = await makePath(1500, services);
  const [there, back] = [`udp dport ${ports.stateful}`, `udp sport ${ports.stateful}`];
  for (const table of ['ip', 'ip6']) {
    const rules = `${there} ${table} dscp set af11; ${back} ${table} dscp set cs1`;
    nft(between, `table ${table} marks { chain forward { type filter hook forward priority 0; ${rules}; }; }`);
  }
  for (const family of families) {
    const target = at(server, family, ports.stateful);
    const { replies } = await stamp(client, '-c', '1', '--dscp', 'ef', '--ttl', '9', target);
    expect(replies[0]).toMatchObject({ forward: { ttl: 8, dscp: 10, ecn: 0 }, backward: { ttl: 63, dscp: 8, ecn: 0 } });
  }
});

/**
 * An independent reflector of RFC 8762, section 4.3.1, which knows no TLVs, like many. It holds each packet for 40 ms,
 * and prints what is wrong with it.
 */
const reflector = `
import socket, struct, sys, time
def ntp(t): return struct.pack('!Q', int((t + 2208988800) * 2**32))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 862))
print('ready', flush=True)
seen = {}
while True:
    data, peer = s.recvfrom(65535)
    now = time.time()
    number, seconds, fraction, error, ssid = struct.unpack('!IIIHH', data[:16])
    sent = seconds - 2208988800 + fraction / 2**32
    faults = []
    if abs(now - sent) > 5 and seconds != 0: faults.append('time %f' % sent)
    if error & 0xff == 0 or error & 0x4000: faults.append('error estimate %x' % error)
    if ssid == 0: faults.append('no session')
    if any(data[16:44]): faults.append('no zeros')
    at = 44
    while at < len(data):
        flags, kind, length = struct.unpack('!BBH', data[at:at + 4])
        if flags != 0x80 or kind not in (1, 4): faults.append('TLV %d %d' % (flags, kind))
        at += 4 + length
    if at != len(data): faults.append('TLVs end at %d of %d' % (at, len(data)))
    if number != seen.get(peer, -1) + 1 and seconds != 0: faults.append('number %d' % number)
    seen[peer] = number
    print('%d bytes %s' % (len(data), ', '.join(faults) or 'right'), flush=True)
    time.sleep(0.04)
    reply = struct.pack('!I', number) + ntp(time.time()) + struct.pack('!HH', 0x2001, ssid) + ntp(now)
    reply += data[:14] + b'\\0\\0' + b'\\xff\\0\\0\\0'
    s.sendto(reply + data[44:], peer)
`;

describe('a reflector that is not ours', () => {
  it('understands the packets, and the time in it does not count', async () => {
    const { client, between } = await makePath();
    const other = new Program(between.inside(['python3', '-u', '-c', reflector]));
    await other.says(/ready/);
    const { replies, summary } = await stamp(client, '-c', '5', '-i', '100ms', '-s', '100', '192.0.2.254');
    expect(other.output).not.toMatch(/bytes (?!right)/);
    expect(other.output.match(/100 bytes right/g)).toHaveLength(5);
    expect(summary).toMatchObject({ sent: 5, received: 5, reflectorMode: 'stateless' });
    for (const { reflectorMs, forward } of replies) {
      expect(reflectorMs).toBeGreaterThanOrEqual(40);
      // It tells neither the TTL nor the DSCP.
      expect(forward).toEqual({});
    }
    expect(summary.reflectorTimes?.minMs).toBeGreaterThanOrEqual(40);
    expect(summary.times?.minMs).toBeLessThan(40);
  });
});

describe('Ctrl-C', () => {
  it('ends a run with its summary', async () => {
    const { client } = await makePath(1500, services);
    const target = at(server, 'ipv4', ports.stateful);
    const tool = new Program(client.inside([...clientProgram, 'stamp', '-i', '50ms', target]));
    await tool.says(/seq=3 .*\n/);
    kill(tool.family.at(-1) ?? tool.pid, 'SIGINT');
    expect(await tool.end()).toMatchObject({ code: 0 });
    expect(tool.output).toMatch(/\n\n--- 203\.0\.113\.1:2062: \d+ sent, \d+ received, 0% lost, \d+ ms\nrtt min/);
  });
});
