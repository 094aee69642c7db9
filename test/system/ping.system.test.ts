import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Cable, checkout, clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { type End, Program, run, type StartOptions } from './program.ts';

needs('ip', 'ping', 'python3', 'script', 'setcap', 'setpriv');

/** A machine, a router, and a machine behind it; each knows the way to the others. */
class Path {
  readonly near = Network.make();
  readonly router = Network.make();
  readonly far = Network.make();
  /** The name of the near machine's interface. */
  readonly nearEnd: string;
  readonly #narrowPart: Cable;

  constructor() {
    const { near, router, far } = this;
    this.nearEnd = near.join(
      router,
      ['192.0.2.1/24', '2001:db8:1::1/64', 'fe80::1/64'],
      ['192.0.2.2/24', '2001:db8:1::2/64', 'fe80::2/64'],
    ).near;
    this.#narrowPart = router.join(
      far,
      ['198.51.100.2/24', '2001:db8:2::2/64'],
      ['198.51.100.3/24', '2001:db8:2::3/64'],
    );
    router.set('net/ipv4/ip_forward', 1);
    router.set('net/ipv6/conf/all/forwarding', 1);
    near.ip('route', 'add', '198.51.100.0/24', 'via', '192.0.2.2');
    near.ip('-6', 'route', 'add', '2001:db8:2::/64', 'via', '2001:db8:1::2');
    far.ip('route', 'add', '192.0.2.0/24', 'via', '198.51.100.2');
    far.ip('-6', 'route', 'add', '2001:db8:1::/64', 'via', '2001:db8:2::2');
  }

  /** Packets of more bytes do not fit between the router and the far machine. */
  narrow(bytes: number): void {
    this.router.ip('link', 'set', this.#narrowPart.near, 'mtu', String(bytes));
    this.far.ip('link', 'set', this.#narrowPart.far, 'mtu', String(bytes));
  }

  /** The far machine does not answer. */
  silence(): void {
    this.far.set('net/ipv4/icmp_echo_ignore_all', 1);
    this.far.set('net/ipv6/icmp/echo_ignore_all', 1);
  }
}

interface Ended extends End {
  readonly output: string;
  readonly complaints: string;
}

/** `smallserv ping ARGS` in a network, to its end. */
async function ping(network: Network, ...args: readonly string[]): Promise<Ended> {
  return runInside(network, [...clientProgram, 'ping', ...args]);
}

async function runInside(network: Network, argv: readonly string[], options?: StartOptions): Promise<Ended> {
  const program = await run(network.inside(argv), options);
  const { output, complaints } = program;
  return { ...(await program.end()), output, complaints };
}

/** The output with its times, which differ from run to run, as T. */
function timeless(output: string): string {
  return output
    .replaceAll(/time=[\d.]+ ms/g, 'time=T')
    .replaceAll(/[\d.]+ ms$/gm, 'T')
    .replaceAll(/= [\d./]+ ms/g, '= T');
}

describe('a host that answers', () => {
  it('is reported in the format of ping(8), with a summary at the end', async () => {
    const { near } = new Path();
    const end = await ping(near, '192.0.2.2', '-c', '2', '-i', '10ms');
    expect(end).toMatchObject({ code: 0, complaints: '' });
    expect(end.output.split('\n').slice(0, 3).map(timeless)).toEqual([
      'ping 192.0.2.2, 56 bytes',
      '64 bytes from 192.0.2.2: icmp_seq=1 ttl=64 time=T',
      '64 bytes from 192.0.2.2: icmp_seq=2 ttl=64 time=T',
    ]);
    expect(end.output).toMatch(/^--- 192\.0\.2\.2: 2 sent, 2 received, 0% lost/m);
  });

  it.each(['198.51.100.3', '2001:db8:2::3'])('returns data of every size through a router: %s', async (host) => {
    const { near } = new Path();
    const largest = host.includes(':') ? 65_527 : 65_507;
    for (const size of [0, 1, 13, 14, 56, 57, 1471, 1472, 1473, 8999, largest]) {
      const end = await ping(near, host, '-c', '2', '-i', '10ms', '-s', String(size), '--json', '-q');
      expect(end.code).toBe(0);
      expect(JSON.parse(end.output)).toMatchObject({ address: host, sent: 2, received: 2, corrupted: 0, errors: [] });
    }
  });

  it('answers at its link-local address, scoped by interface name', async () => {
    const path = new Path();
    const end = await ping(path.near, `fe80::2%${path.nearEnd}`, '-c', '1');
    expect(end).toMatchObject({ code: 0 });
    expect(end.output).toContain(`64 bytes from fe80::2%${path.nearEnd}: icmp_seq=1 time=`);
  });

  it.each(['127.0.0.1', '::1'])('is not confused with own requests on loopback: %s', async (address) => {
    const end = await ping(Network.make(), address, '-c', '2', '-i', '10ms', '--json', '-q');
    expect(end).toMatchObject({ code: 0, complaints: '' });
    expect(JSON.parse(end.output)).toMatchObject({ address, sent: 2, received: 2, duplicates: 0, corrupted: 0 });
  });

  it('answers four concurrent pings without mixing up replies', async () => {
    const { near } = new Path();
    const all = ['192.0.2.2', '192.0.2.2', '198.51.100.3', '2001:db8:2::3'].map((host) =>
      ping(near, host, '-c', '30', '-i', '5ms', '--json', '-q'),
    );
    for (const end of await Promise.all(all)) {
      expect(end).toMatchObject({ code: 0, complaints: '' });
      expect(JSON.parse(end.output)).toMatchObject({ sent: 30, received: 30, duplicates: 0, corrupted: 0, errors: [] });
    }
  });

  it('gets the same sizes, TTLs and counts as with ping(8)', async () => {
    const { near } = new Path();
    for (const [host, size, ttl] of [
      ['192.0.2.2', '101', 'ttl=64 '],
      ['198.51.100.3', '3000', 'ttl=63 '],
      ['2001:db8:2::3', '56', ''],
    ] as const) {
      const theirs = await runInside(near, ['ping', '-n', '-c', '3', '-i', '0.01', '-s', size, host]);
      const ours = await ping(near, host, '-c', '3', '-i', '10ms', '-s', size);
      const lines = ({ output }: Ended): readonly string[] =>
        output.split('\n').filter((line) => line.includes('icmp_seq='));
      const expected = lines(theirs).map((line) => timeless(line).replace(ttl === '' ? / ttl=\d+/ : '', ''));
      expect(expected).toHaveLength(3);
      expect(lines(ours).map(timeless)).toEqual(expected);
      expect(lines(ours).every((line) => line.includes(ttl))).toBe(true);
      const [, sent, received, loss] = /(\d+) packets transmitted, (\d+) received, (\d+)% packet loss/.exec(
        theirs.output,
      ) ?? ['', '', '', ''];
      expect(ours.output).toContain(`: ${sent} sent, ${received} received, ${loss}% lost,`);
    }
  });
});

/** Answers echo requests in the place of the kernel: `answer` makes the packets of the data. */
function peer(answer: string): string {
  return `import socket, struct
def checksum(data):
    data += b'\\0' * (len(data) % 2)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def reply(rest, spoilt=0):
    total = checksum(b'\\0\\0\\0\\0' + rest) ^ spoilt
    return b'\\0\\0' + struct.pack('!H', total) + rest
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print('ready', flush=True)
while True:
    packet, source = s.recvfrom(65535)
    if packet[20] != 8: continue
    rest = packet[24:]
    for each in ${answer}: s.sendto(each, source)
`;
}

describe('a host with faulty replies', () => {
  it.each([
    ['twice', '[reply(rest), reply(rest)]', ': 3 sent, 3 received, 2 duplicates, 0% lost', '(DUP!)', 0],
    [
      'with altered data',
      '[reply(rest[:20] + bytes([rest[20] ^ 1]) + rest[21:])]',
      ', 3 corrupted, 100% lost',
      'byte 16 on',
      1,
    ],
    ['with a wrong checksum', '[reply(rest, 1)]', ', 3 corrupted, 100% lost', 'wrong checksum', 1],
    [
      'with the identifier of another program',
      '[reply(bytes([rest[0] ^ 1]) + rest[1:])]',
      ': 3 sent, 0 received, 100% lost',
      'no answer',
      1,
    ],
  ])('is reported if it answers %s', async (_name, answer, account, mark, code) => {
    const { near, router } = new Path();
    router.set('net/ipv4/icmp_echo_ignore_all', 1);
    const python = new Program(router.inside(['python3', '-c', peer(answer)]));
    await python.says(/ready/);
    const end = await ping(near, '192.0.2.2', '-c', '3', '-i', '300ms', '--timeout', '1s');
    expect(end.output).toContain(account);
    expect(end.output).toContain(mark);
    expect(end.code).toBe(code);
  });
});

describe('a host that does not answer', () => {
  it.each(['198.51.100.3', '2001:db8:2::3'])('is reported as total loss: %s', async (host) => {
    const path = new Path();
    path.silence();
    const end = await ping(path.near, host, '-c', '2', '-i', '10ms', '--timeout', '200ms');
    expect(end).toMatchObject({ code: 1, complaints: '' });
    expect(timeless(end.output)).toBe(
      [
        `ping ${host}, 56 bytes`,
        'icmp_seq=1 no answer within 200ms',
        'icmp_seq=2 no answer within 200ms',
        '',
        `--- ${host}: 2 sent, 0 received, 100% lost, T`,
        '',
      ].join('\n'),
    );
  });

  it.each([
    ['192.0.2.77', 'From 192.0.2.1 icmp_seq=1 Destination Host Unreachable'],
    ['2001:db8:1::77', 'From 2001:db8:1::1 icmp_seq=1 Destination unreachable: Address unreachable'],
  ])('is reported as unreachable on the link by the local machine: %s', async (host, line) => {
    const { near } = new Path();
    const end = await ping(near, host, '-c', '1', '--timeout', '30s');
    expect(end.output.split('\n')).toContain(line);
    expect(end.code).toBe(1);
  });

  it.each([
    ['198.51.100.3', 'From 192.0.2.2 icmp_seq=1 Time to live exceeded'],
    ['2001:db8:2::3', 'From 2001:db8:1::2 icmp_seq=1 Time exceeded: Hop limit'],
  ])('is reported by the router if the TTL is too small: %s', async (host, line) => {
    const { near } = new Path();
    const end = await ping(near, host, '-c', '1', '--ttl', '1', '--timeout', '30s');
    expect(end.output.split('\n')).toContain(line);
    expect(end.code).toBe(1);
    expect((await ping(near, host, '-c', '1', '--ttl', '2')).code).toBe(0);
    const json = JSON.parse((await ping(near, host, '-c', '1', '--ttl', '1', '--json', '-q')).output) as object;
    const [, from, reason] = /^From (\S+) icmp_seq=1 (.*)$/.exec(line) ?? [];
    expect(json).toMatchObject({ received: 0, errors: [{ from, reason, count: 1 }] });
  });

  it.each([
    ['198.51.100.3', 'From 192.0.2.2 icmp_seq=1 Frag needed and DF set (mtu = 1400)'],
    ['2001:db8:2::3', 'From 2001:db8:1::2 icmp_seq=1 Packet too big: mtu=1400'],
  ])('answers from behind a smaller MTU once the path MTU is known: %s', async (host, line) => {
    const path = new Path();
    path.narrow(1400);
    // Neighbours find each other before.
    expect((await ping(path.near, host, '-c', '1')).code).toBe(0);
    const end = await ping(path.near, host, '-c', '2', '-i', '100ms', '-s', '1452', '--timeout', '30s');
    expect(end).toMatchObject({ code: 0, complaints: '' });
    expect(end.output.split('\n')).toContain(line);
    expect(end.output).toMatch(/^1460 bytes from .* icmp_seq=2 /m);
  });

  it('is reported at once if there is no route', async () => {
    const { near } = new Path();
    const end = await ping(near, '203.0.113.1');
    expect(end).toMatchObject({ code: 2, output: '' });
    expect(end.complaints).toBe('smallserv: cannot reach 203.0.113.1: the network is unreachable\n');
  });

  it('causes send errors while its route is gone, and answers once it is back', async () => {
    const { near } = new Path();
    const program = new Program(near.inside([...clientProgram, 'ping', '198.51.100.3', '-i', '100ms']));
    await program.says(/icmp_seq=1 /);
    near.ip('route', 'delete', '198.51.100.0/24');
    await program.says(/^icmp_seq=\d+ cannot send to 198\.51\.100\.3: Network is unreachable$/m);
    near.ip('route', 'add', '198.51.100.0/24', 'via', '192.0.2.2');
    await program.says(/unreachable\n64 bytes from/i);
    program.signal('SIGINT');
    expect((await program.end()).code).toBe(0);
  });
});

describe('Ctrl-C', () => {
  it('prints the summary and exits with 0', async () => {
    const { near } = new Path();
    const program = new Program(
      near.inside(['script', '-qec', `exec ${[...clientProgram, 'ping', '192.0.2.2'].join(' ')}`, '/dev/null']),
    );
    await program.says(/icmp_seq=1 /);
    program.type('\x03');
    expect((await program.end()).code).toBe(0);
    expect(program.output).toMatch(/\r\n--- 192\.0\.2\.2: (\d) sent, \1 received, 0% lost, \d+ ms\r\nrtt min/);
  });

  it('exits with 1 if nothing was received', async () => {
    const path = new Path();
    path.silence();
    const program = new Program(path.near.inside([...clientProgram, 'ping', '198.51.100.3', '--timeout', '100ms']));
    await program.says(/icmp_seq=1 no answer/);
    program.signal('SIGINT');
    expect((await program.end()).code).toBe(1);
    expect(program.output).toMatch(/^--- 198\.51\.100\.3: \d sent, 0 received, 100% lost, \d+ ms\n$/m);
    expect(program.complaints).toBe('');
  });
});

const user = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];

describe('without permission to open a raw socket', () => {
  const echoInstead = '  3. measure with `smallserv echo HOST --count 5`';

  it.each(['127.0.0.1', '::1'])('suggests three solutions for %s', async (host) => {
    const network = Network.make();
    const [install, node] = [openInstall({ addon: 'there' }), openNode()];
    for (const who of [user, ['--bounding-set', '-all', ...user], ['--bounding-set', '-all']]) {
      const end = await runInside(network, ['setpriv', ...who, node, install, 'ping', host, '-c', '1'], {
        directory: '/',
      });
      expect(end).toMatchObject({ code: 77, output: '' });
      const lines = end.complaints.trimEnd().split('\n');
      expect(lines[0]).toBe(
        'smallserv: a raw socket is not permitted: it needs root or the capability CAP_NET_RAW. Do one of these:',
      );
      expect(lines.filter((line) => /^smallserv: {3}[123]\. /.test(line))).toHaveLength(3);
      expect(end.complaints).toContain(echoInstead);
      expect(end.complaints).not.toContain('    at ');
    }
  });

  it('works once given only CAP_NET_RAW, as the message says', async () => {
    const network = Network.make();
    const [install, node] = [openInstall({ addon: 'there' }), openNode()];
    const right = ['--inh-caps', '+net_raw', '--ambient-caps', '+net_raw'];
    const command = [node, install, 'ping', '127.0.0.1', '-c', '1'];
    const options = { directory: '/' };
    expect(await runInside(network, ['setpriv', ...user, ...right, ...command], options)).toMatchObject({ code: 0 });

    expect(await runInside(network, ['setpriv', ...user, ...command], options)).toMatchObject({ code: 77 });
    execFileSync('setcap', ['cap_net_raw+ep', node]);
    expect(await runInside(network, ['setpriv', ...user, ...command], options)).toMatchObject({ code: 0 });
  });

  it('still runs the other tools', async () => {
    const network = Network.make();
    const install = openInstall({ addon: 'there' });
    const end = await runInside(network, ['setpriv', ...user, openNode(), install, 'ip', '0:0:0:0:0:0:0:1'], {
      directory: '/',
    });
    expect(end).toMatchObject({ code: 0, complaints: '' });
  });
});

describe('without the raw-socket addon', () => {
  it.each([
    ['missing', 'it is not installed'],
    ['unbuilt', 'No native build was found for this machine'],
  ] as const)('suggests three solutions if it is %s', async (addon, reason) => {
    const network = Network.make();
    const end = await runInside(network, [process.execPath, openInstall({ addon }), 'ping', 'localhost']);
    expect(end).toMatchObject({ code: 77, output: '' });
    const lines = end.complaints.trimEnd().split('\n');
    expect(lines[0]).toBe(`smallserv: the optional addon raw-socket cannot be loaded: ${reason}. Do one of these:`);
    expect(lines.filter((line) => /^smallserv: {3}[123]\. /.test(line))).toHaveLength(3);
    expect(end.complaints).not.toContain('    at ');
  });

  it('still runs the other tools', async () => {
    const network = Network.make();
    const end = await runInside(network, [process.execPath, openInstall({ addon: 'missing' }), 'ip', '::1']);
    expect(end).toMatchObject({ code: 0, complaints: '' });
  });
});

/** Installs the client where everybody may read it, with the addon or without; returns its path. */
function openInstall({ addon }: { readonly addon: 'there' | 'missing' | 'unbuilt' }): string {
  // Node looks for packages in all directories above, too: people leave some in /tmp.
  const directory = temporaryDirectory(0o755, '/var/tmp');
  const { dependencies } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { dependencies: object };
  cpSync(join(checkout, 'dist'), join(directory, 'dist'), { recursive: true });
  copyFileSync(join(checkout, 'package.json'), join(directory, 'package.json'));
  const modules = join(directory, 'node_modules');
  mkdirSync(modules);
  for (const name of Object.keys(dependencies)) symlinkSync(join(checkout, 'node_modules', name), join(modules, name));
  if (addon === 'there') symlinkSync(join(checkout, 'node_modules/raw-socket'), join(modules, 'raw-socket'));
  if (addon === 'unbuilt') {
    mkdirSync(join(modules, 'raw-socket'));
    const fails = "throw new Error('No native build was found for this machine\\n    loaded from: somewhere')";
    writeFileSync(join(modules, 'raw-socket/index.js'), fails);
  }
  return join(directory, 'dist/smallserv.js');
}

/** A copy of this Node that everybody may run, and that can be given rights of its own. */
function openNode(): string {
  const node = join(temporaryDirectory(), 'node');
  copyFileSync(process.execPath, node);
  return node;
}
